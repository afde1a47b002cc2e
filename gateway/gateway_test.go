package gateway

import (
	"errors"
	"log/slog"
	"net"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/caddy-gopr/caddy-gopr/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

func TestQuiet(t *testing.T) {
	var q Quiet
	began := time.Now()
	for _, tt := range []struct {
		after      time.Duration
		reason     string
		ok         bool
		suppressed int
	}{
		{0, "magic", true, 0},
		{0, "magic", false, 0},
		{time.Millisecond, "version", true, 0}, // each reason has its own second
		{999 * time.Millisecond, "magic", false, 0},
		{time.Second, "magic", true, 2},
		{1500 * time.Millisecond, "magic", false, 0},
		{time.Hour, "magic", true, 1},
		{time.Hour, "version", true, 0},
		{2 * time.Hour, "magic", true, 0},
	} {
		ok, suppressed := q.Pass(tt.reason, began.Add(tt.after))
		if ok != tt.ok || suppressed != tt.suppressed {
			t.Errorf("%s after %v: %v with %d suppressed, want %v with %d", tt.reason, tt.after, ok, suppressed, tt.ok, tt.suppressed)
		}
	}
}

func TestLiveIsSharedByName(t *testing.T) {
	a, b, other := AcquireLive("shared"), AcquireLive("shared"), AcquireLive("other")
	if a != b || a == other {
		t.Errorf("%p, %p and %p: want one for each name", a, b, other)
	}
	ReleaseLive(a)
	if c := AcquireLive("shared"); c != b {
		t.Error("a name that is in use has another Live")
	} else {
		ReleaseLive(c)
	}
	ReleaseLive(b)
	ReleaseLive(other)
	if n, used := lives.References("shared"); used {
		t.Errorf("%d users left", n)
	}
}

func TestAdmit(t *testing.T) {
	l := AcquireLive(t.Name())
	defer ReleaseLive(l)
	for i, want := range []bool{true, true, false, false} {
		if got := l.Admit(2); got != want {
			t.Errorf("connection %d of 2: admitted %v, want %v", i+1, got, want)
		}
	}
	l.Dismiss("eof")
	if !l.Admit(2) || l.Admit(2) {
		t.Error("a place that is free is not taken, or two are")
	}
	if !l.Admit(0) { // no limit any more, after a reload
		t.Error("refused without a limit")
	}
	for range 3 {
		l.Dismiss("eof")
	}
	if n := l.Open(); n != 0 {
		t.Errorf("%d open, want 0", n)
	}
}

// TestAdmitTogether: however many come at once, no more than the limit are in.
func TestAdmitTogether(t *testing.T) {
	l := AcquireLive(t.Name())
	defer ReleaseLive(l)
	var all sync.WaitGroup
	admitted := make(chan struct{}, 100)
	for range 100 {
		all.Go(func() {
			if l.Admit(7) {
				admitted <- struct{}{}
			}
		})
	}
	all.Wait()
	if n := len(admitted); n < 1 || n > 7 || n != l.Open() {
		t.Errorf("%d admitted and %d open, want 7 at most", n, l.Open())
	}
}

// TestGroupIsSharedBySettings and goes with the last that uses it.
func TestGroupIsSharedBySettings(t *testing.T) {
	cfg := upstream.Config{Backends: []string{"127.0.0.1:9"}, MinLinks: -1}
	a, b := AcquireGroup("name", "name", "settings", cfg), AcquireGroup("name", "name", "settings", cfg)
	otherSettings, otherName := AcquireGroup("name", "name", "other", cfg), AcquireGroup("other", "other", "settings", cfg)
	if a != b || a == otherSettings || a == otherName {
		t.Error("want one group for each name and settings")
	}
	if _, ok := a.stat(); ok {
		t.Error("a group is started before it is used")
	}
	up, err := a.Upstream()
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := b.Upstream(); again != up {
		t.Error("the group was started twice")
	}
	ended := make(chan error, 1)
	lease := up.Lease(peer{lost: ended}, upstream.Client{})
	defer lease.Close()
	ReleaseGroup(a)
	select {
	case err := <-ended:
		t.Errorf("the group ended with a user left: %v", err)
	default:
	}
	ReleaseGroup(b)
	if err := <-ended; !errors.Is(err, upstream.ErrGroupClosed) {
		t.Errorf("the last user has gone, and its leases end with %v, want %v", err, upstream.ErrGroupClosed)
	}
	if _, err := a.Upstream(); err != nil {
		t.Errorf("a group that ran: %v", err) // it is closed, and says so to whoever leases
	}
	ReleaseGroup(otherSettings)
	if _, err := otherSettings.Upstream(); !errors.Is(err, upstream.ErrGroupClosed) {
		t.Errorf("a group that nobody used and nobody has: %v, want %v", err, upstream.ErrGroupClosed)
	}
	ReleaseGroup(otherName)
}

type peer struct{ lost chan error }

func (peer) Frames([]byte, int) bool { return false }
func (peer) Room()                   {}
func (p peer) Lost(err error)        { p.lost <- err }

func TestClaim(t *testing.T) {
	a, b := new(App), new(App)
	for _, name := range []string{"one", "two"} {
		if err := a.Claim(name); err != nil {
			t.Error(err)
		}
	}
	if err := b.Claim("one"); err != nil { // another configuration
		t.Error(err)
	}
	err := a.Claim("one")
	if err == nil || !strings.Contains(err.Error(), "two gopr handlers are named \"one\"") || !strings.Contains(err.Error(), "gopr one2 { … }") {
		t.Errorf("got %v", err)
	}
}

// TestLogGoesToTheNewestThatRuns: a configuration that did not come up takes its log with it.
func TestLogGoesToTheNewestThatRuns(t *testing.T) {
	var before, after, rejected strings.Builder
	app := func(to *strings.Builder) *App {
		return &App{output: output{log: slog.NewTextHandler(to, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})}}
	}
	a, b, c := app(&before), app(&rejected), app(&after)
	steps := []struct {
		name string
		do   func() error
		to   *strings.Builder
	}{
		{"the first starts", a.Start, &before},
		{"another starts", b.Start, &rejected},
		{"and is stopped, as another app did not start", b.Stop, &before},
		{"a third starts", c.Start, &after},
		{"and the first is stopped", a.Stop, &after},
		{"and the last", c.Stop, &after},
	}
	log := Log.With("handler", "it")
	for _, s := range steps {
		if err := s.do(); err != nil {
			t.Fatal(err)
		}
		for _, out := range []*strings.Builder{&before, &after, &rejected} {
			out.Reset()
		}
		log.Warn(s.name, "more", 1)
		if want := "level=WARN msg=" + quoted(s.name) + " more=1 handler=it\n"; s.to.String() != want {
			t.Errorf("after %q: got %q, want %q", s.name, s.to, want)
		}
		if n := before.Len() + after.Len() + rejected.Len(); n != s.to.Len() {
			t.Errorf("after %q: it is written elsewhere, too: %q %q %q", s.name, &before, &after, &rejected)
		}
	}
}

func quoted(s string) string {
	if strings.Contains(s, " ") {
		return `"` + s + `"`
	}
	return s
}

// TestRegister: the collectors go into each configuration's registry, as often as there are handlers, and are consistent there.
func TestRegister(t *testing.T) {
	l := AcquireLive(t.Name())
	defer ReleaseLive(l)
	l.FramesIn.Add(3)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	g := AcquireGroup(t.Name(), t.Name()+":0x10", "", upstream.Config{Backends: []string{ln.Addr().String(), "127.0.0.1:1"}, MinLinks: -1})
	defer ReleaseGroup(g)
	if _, err := g.Upstream(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		reg := prometheus.NewPedanticRegistry() // as Caddy's
		for range 3 {
			for _, c := range collectors {
				_ = reg.Register(c)
			}
		}
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range families {
			names = append(names, f.GetName())
			if strings.HasPrefix(f.GetName(), "caddy_gopr_upstream_") {
				for _, m := range f.GetMetric() {
					labels := make(map[string]string)
					for _, l := range m.GetLabel() {
						labels[l.GetName()] = l.GetValue()
					}
					if labels["handler"] != t.Name() || labels["upstream"] != t.Name()+":0x10" {
						t.Errorf("%s has the labels %v, want the handler's name and the group's", f.GetName(), labels)
					}
				}
			}
			if !strings.HasPrefix(f.GetName(), "caddy_gopr_") || f.GetHelp() == "" {
				t.Errorf("%s: %q", f.GetName(), f.GetHelp())
			}
		}
		for _, name := range []string{"frames_total", "upstream_up", "upstream_links", "upstream_waiting", "upstream_failures", "upstream_dials_total", "upstream_links_lost_total", "upstream_unsolicited_frames_total"} {
			if !slices.Contains(names, "caddy_gopr_"+name) {
				t.Errorf("caddy_gopr_%s is missing from %v", name, names)
			}
		}
	}
}

// TestAdd: while an old and a new group of a handler are there, their numbers are one handler's.
func TestAdd(t *testing.T) {
	got := add(
		upstream.Stat{Waiting: 1, Backends: []upstream.BackendStat{
			{Backend: "a", State: "reconnecting", Links: 1, Failures: 3, Dials: 5, DialErrors: 3, Lost: 1, InFlight: 1, Ended: map[string]uint64{"eof": 1, "client": 2}, Unsolicited: 1},
			{Backend: "b", State: "connected", Links: 2, Spare: 1},
		}},
		upstream.Stat{Waiting: 2, Backends: []upstream.BackendStat{
			{Backend: "c", State: "connected", Links: 4},
			{Backend: "a", State: "connected", Links: 2, Spare: 1, Dialing: 1, Failures: 1, Dials: 4, DialErrors: 1, Lost: 2, InFlight: 2, Ended: map[string]uint64{"eof": 2, "unasked": 1}, Unsolicited: 2},
		}},
	)
	want := upstream.Stat{Waiting: 3, Backends: []upstream.BackendStat{
		{Backend: "a", State: "connected", Links: 3, Spare: 1, Dialing: 1, Failures: 3, Dials: 9, DialErrors: 4, Lost: 3, InFlight: 3, Ended: map[string]uint64{"eof": 3, "client": 2, "unasked": 1}, Unsolicited: 3},
		{Backend: "b", State: "connected", Links: 2, Spare: 1},
		{Backend: "c", State: "connected", Links: 4},
	}}
	if got.Waiting != want.Waiting || !reflect.DeepEqual(got.Backends, want.Backends) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}
