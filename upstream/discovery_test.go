package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// directory is what lookups find.
type directory struct {
	mu    sync.Mutex
	found []Found
	err   error
	asked []time.Time
}

func (d *directory) lookup(context.Context) ([]Found, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, time.Now())
	return d.found, d.err
}

// times are when it was asked.
func (d *directory) times() []time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.asked)
}

// say changes what is found.
func (d *directory) say(err error, addrs ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.found, d.err = nil, err
	for _, a := range addrs {
		d.found = append(d.found, Found{Addr: a})
	}
}

// names are the backends of a group, those that are gone in brackets.
func names(g *Group) (all []string) {
	for _, b := range g.Stat().Backends {
		if b.Admin == Removed {
			b.Backend = "(" + b.Backend + ")"
		}
		all = append(all, b.Backend)
	}
	return all
}

func TestDiscovery(t *testing.T) {
	eachPooling(t, func(t *testing.T, pooling Pooling) {
		n := newNetwork("static:1", "a:1", "b:1", "c:1")
		for _, s := range n {
			s.behave = func(v *visit) {
				v.each(func(f frame) {
					time.Sleep(time.Second)
					v.reply(f)
				})
			}
		}
		dir := new(directory)
		dir.say(nil, "b:1", "a:1")
		log := new(bytes.Buffer)
		g := n.group(t, Config{
			Pooling: pooling, Policy: First, Backends: []string{"static:1"}, Discovery: &Discovery{Name: "backends", Lookup: dir.lookup},
			Logger: slog.New(slog.NewTextHandler(log, nil)),
		})
		synctest.Wait()
		equal(t, "at first", names(g), []string{"static:1", "a:1", "b:1"})
		do(t, g, VerbDisable, "static:1")
		p := lease(t, g)
		p.ask("1")
		synctest.Wait()
		if at := g.Stat().Backends[1]; at.InFlight != 1 {
			t.Fatalf("%+v", at)
		}

		dir.say(nil, "c:1", "b:1")
		for range 400 { // until it is looked up again; the request takes a second
			time.Sleep(100 * ms)
			if got := p.lease.Unanswered(); got == 0 {
				p.mu.Lock()
				p.got = nil
				p.mu.Unlock()
				p.ask("again")
			}
		}
		equal(t, "when one is gone and one is new", names(g), []string{"static:1", "b:1", "c:1"})
		time.Sleep(2 * time.Second)
		p.expect("again")
		if at := p.lease.Backend(); at != "b:1" {
			t.Errorf("the client is at %q", at)
		}
		for _, tt := range []struct {
			what  string
			err   error
			addrs []string
		}{
			{"an error", errors.New("no such host"), nil},
			{"an empty answer", nil, nil},
			{"loopback", nil, []string{"127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"}},
			{"what is no address", nil, []string{"0.0.0.0:1", "[ff02::1]:1", "b"}},
		} {
			dir.say(tt.err, tt.addrs...)
			time.Sleep(time.Minute)
			equal(t, "after "+tt.what, names(g), []string{"static:1", "b:1", "c:1"})
			if s := g.Stat().Discovery; s.Error == "" || s.Found != 2 || s.Failed == 0 {
				t.Errorf("after %s: %+v", tt.what, s)
			}
			p.ask("still there")
			time.Sleep(2 * time.Second)
			p.expect("still there")
		}
		dir.say(nil, "c:1")
		time.Sleep(time.Minute)
		equal(t, "when it works again", names(g), []string{"static:1", "c:1"})
		for _, line := range []string{"discovery failed, keeping the backends there are", "no such host", "discovery works again", `backend discovered" backend=c:1`, `gone from discovery" backend=a:1`} {
			if !strings.Contains(log.String(), line) {
				t.Errorf("the log does not say %q", line)
			}
		}
		if n := strings.Count(log.String(), "discovery failed"); n != 2 { // to answer, and then to answer with what is fit
			t.Errorf("the log says %d times that discovery failed", n)
		}
		p.ask("the end")
		time.Sleep(2 * time.Second)
		p.expect("the end")
	})
}

// A backend that is gone keeps its links until what was asked is answered, and is its old self when it comes back before.
func TestDiscoveredBackendComesBack(t *testing.T) {
	eachPooling(t, func(t *testing.T, pooling Pooling) {
		n := newNetwork("a:1", "b:1")
		n["a:1"].behave = (*visit).swallow
		dir := new(directory)
		dir.say(nil, "a:1")
		g := n.group(t, Config{
			Pooling: pooling, Backends: []string{"b:1"}, Policy: LeastConn, RequestTimeout: time.Hour,
			Discovery: &Discovery{Name: "backends", Lookup: dir.lookup, Refresh: time.Second},
		})
		synctest.Wait()
		do(t, g, VerbDisable, "b:1")
		p := lease(t, g)
		p.ask("1")
		synctest.Wait()
		do(t, g, VerbEnable, "b:1")
		dials := g.Stat().Backends[1].Dials
		dir.say(nil, "b:1") // which is configured, whatever DNS says
		time.Sleep(10 * time.Second)
		equal(t, "while an answer is due", names(g), []string{"b:1", "(a:1)"})
		dir.say(nil, "b:1", "a:1")
		time.Sleep(10 * time.Second)
		equal(t, "when it is back", names(g), []string{"b:1", "a:1"})
		if a := g.Stat().Backends[1]; a.Dials < dials || a.Admin != Enabled {
			t.Errorf("%+v", a)
		}
		dir.say(nil, "b:1")
		time.Sleep(10 * time.Second)
		p.lease.Close()
		n["a:1"].stop()
		time.Sleep(10 * time.Second)
		equal(t, "when nothing is left of it", names(g), []string{"b:1"})
	})
}

func TestDiscoveryIsBounded(t *testing.T) {
	d := Discovery{Lookup: func(context.Context) (all []Found, err error) {
		for i := range 10_000 {
			all = append(all, Found{Addr: fmt.Sprintf("10.%d.%d.1:9000", i/200, i%200)}, Found{Addr: "10.0.0.1:9000"})
		}
		return all, nil
	}}
	d = d.withDefaults()
	first, ignored, err := d.find(t.Context(), nil)
	if len(first) != maxFound || ignored != 20_000-maxFound || err != nil {
		t.Errorf("%d found, %d ignored, %v", len(first), ignored, err)
	}
	again, _, _ := d.find(t.Context(), nil)
	equal(t, "of too many, always the same", again, first)
}

// Lookups follow each other at the refresh, give or take a tenth; failures sooner, but ever more seldom.
func TestDiscoveryTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := new(directory)
		dir.say(nil, "a:1")
		newNetwork("a:1").group(t, Config{Backends: []string{"a:1"}, Discovery: &Discovery{Lookup: dir.lookup, Refresh: 10 * time.Second}})
		time.Sleep(5 * time.Minute)
		seen := make(map[time.Duration]bool)
		asked := dir.times()
		for i, at := range asked[1:] {
			gap := at.Sub(asked[i])
			seen[gap] = true
			if gap < 9*time.Second || gap > 11*time.Second {
				t.Errorf("looked up after %v", gap)
			}
		}
		if len(seen) < 5 {
			t.Errorf("no jitter: %v", seen)
		}
		dir.say(errors.New("SERVFAIL"))
		time.Sleep(11 * time.Second)
		from := len(dir.times())
		time.Sleep(time.Minute)
		if n := len(dir.times()) - from; n < 6 || n > 16 {
			t.Errorf("%d lookups in the first minute of failures", n)
		}
		from = len(dir.times())
		time.Sleep(10 * time.Minute)
		if n := len(dir.times()) - from; n < 50 || n > 70 {
			t.Errorf("%d lookups in ten minutes of failures", n)
		}
	})
}

// The weights of SRV records are the backends' shares, and may change.
func TestDiscoveredWeights(t *testing.T) {
	eachPooling(t, func(t *testing.T, pooling Pooling) {
		n := newNetwork("a:1", "b:1")
		dir := &directory{found: []Found{{"a:1", 30_000}, {"b:1", 10_000}}}
		g := n.group(t, Config{Pooling: pooling, Backends: []string{}, MinLinks: 1, Discovery: &Discovery{Lookup: dir.lookup, Refresh: time.Second}})
		synctest.Wait()
		count := func() (a, b int) {
			a, b = len(n["a:1"].got()), len(n["b:1"].got())
			for range 100 {
				p := lease(t, g)
				p.ask("x")
				synctest.Wait()
				p.lease.Close()
			}
			return len(n["a:1"].got()) - a, len(n["b:1"].got()) - b
		}
		if a, b := count(); a != 75 || b != 25 {
			t.Errorf("%d and %d, not 3 to 1", a, b)
		}
		dir.mu.Lock()
		dir.found = []Found{{"a:1", 0}, {"b:1", 4}}
		dir.mu.Unlock()
		time.Sleep(2 * time.Second)
		if a, b := count(); a != 20 || b != 80 {
			t.Errorf("%d and %d, not 1 to 4", a, b)
		}
	})
}

// A name that turns out to be the gateway's own loopback is not used, unless it may be.
func TestDiscoveredLoopback(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		addr := listen(t, serveEcho)
		_, port, _ := net.SplitHostPort(addr)
		dir := new(directory)
		dir.say(nil, "localhost:"+port)
		g := newGroup(t, Config{Discovery: &Discovery{Lookup: dir.lookup, AllowLoopback: allowed}})
		if allowed {
			eventually(t, "a link", func() bool { b := g.Stat().Backends; return len(b) == 1 && b[0].Links == 1 })
		} else {
			eventually(t, "a failure", func() bool {
				b := g.Stat().Backends
				return len(b) == 1 && strings.Contains(b[0].Error, "is on loopback") && b[0].Links == 0
			})
		}
	}
}

func TestDiscoveryMistakes(t *testing.T) {
	for _, tt := range []struct {
		d    Discovery
		want string // "": none
	}{
		{Discovery{Records: RecordsA, Name: "b.example.com", Port: 9000, Versions: []string{"ipv4"}, Resolvers: []string{"10.0.0.53:53"}}, ""},
		{Discovery{Records: RecordsSRV, Name: "_gopr._tcp.example.com"}, ""},
		{Discovery{Records: "mx", Name: "x"}, "unknown kind"},
		{Discovery{Records: RecordsA}, "no name to look up"},
		{Discovery{Records: RecordsA, Name: "b.example.com"}, "no valid port: write it as `dynamic a b.example.com 9000`"},
		{Discovery{Records: RecordsSRV, Name: "b.example.com", Port: 9000}, "remove 9000"},
		{Discovery{Records: RecordsSRV, Name: "b.example.com", Versions: []string{"ipv4"}}, "versions are for"},
		{Discovery{Records: RecordsA, Name: "b", Port: 1, Versions: []string{"4"}}, "ipv4 or ipv6"},
		{Discovery{Records: RecordsA, Name: "b", Port: 1, Resolvers: []string{"10.0.0.53"}}, "such as 10.0.0.53:53"},
		{Discovery{Records: RecordsA, Name: "b", Port: 1, Refresh: -1}, "refresh -1ns is negative"},
		{Discovery{Records: RecordsA, Name: "b", Port: 1, DialTimeout: -1}, "dial_timeout -1ns is negative"},
	} {
		err := Config{Discovery: &tt.d}.Validate()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%+v: %v, want %q", tt.d, err, tt.want)
		}
	}
}
