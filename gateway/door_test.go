package gateway

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

func TestWho(t *testing.T) {
	tests := []struct{ remote, want string }{
		{"192.0.2.1:1", "192.0.2.1"},
		{"[::ffff:192.0.2.1]:1", "192.0.2.1"}, // one client, whichever socket it came by
		{"[2001:db8:1:2:3:4:5:6]:1", "2001:db8:1:2::"},
		{"[2001:db8:1:2::9]:2", "2001:db8:1:2::"},
		{"[2001:db8:1:3::9]:2", "2001:db8:1:3::"},
		{"[fe80::1%eth0]:2", "fe80::"},
	}
	for _, tt := range tests {
		tcp, err := net.ResolveTCPAddr("tcp", tt.remote)
		if err != nil {
			t.Fatal(err)
		}
		for _, remote := range []net.Addr{tcp, &net.UDPAddr{IP: tcp.IP, Port: tcp.Port, Zone: tcp.Zone}} {
			if got, ok := who(remote); !ok || got != netip.MustParseAddr(tt.want) {
				t.Errorf("%T %v is %v, %v; want %v", remote, remote, got, ok, tt.want)
			}
		}
	}
	for _, remote := range []net.Addr{nil, &net.UnixAddr{Name: "@", Net: "unix"}, &net.TCPAddr{}} {
		if got, ok := who(remote); ok {
			t.Errorf("%v is %v, want nobody", remote, got)
		}
	}
}

func from(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 7} }

func TestPerAddress(t *testing.T) {
	l := AcquireLive(t.Name())
	defer ReleaseLive(l)
	rules, now := &Rules{PerAddress: 2, Connections: 3}, time.Now()
	enter := func(ip, want string) *Pass {
		t.Helper()
		p, refused := l.Enter(rules, from(ip), now)
		if refused != want || (p == nil) != (want != "") {
			t.Fatalf("%s: refused %q, want %q", ip, refused, want)
		}
		return p
	}
	a := enter("192.0.2.1", "")
	b := enter("192.0.2.1", "")
	enter("192.0.2.1", RefusedPerIP)
	c := enter("192.0.2.2", "")
	enter("192.0.2.3", RefusedConnections)
	a.Dismiss("eof")
	d := enter("192.0.2.1", "")
	b.Dismiss("eof")
	c.Dismiss("eof")
	// Without the rule nobody is counted, and those who were are still counted out.
	rules = &Rules{}
	e := enter("192.0.2.1", "")
	d.Dismiss("eof")
	e.Dismiss("eof")
	if n := len(l.door.inside); n != 0 {
		t.Errorf("%d addresses are remembered, and nobody is inside", n)
	}
	if n := l.Open(); n != 0 {
		t.Errorf("%d are open", n)
	}
}

// TestPerAddressTogether: however many come at once, no more than the limit are in.
func TestPerAddressTogether(t *testing.T) {
	l := AcquireLive(t.Name())
	defer ReleaseLive(l)
	var mu sync.Mutex
	var passes []*Pass
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			if p, _ := l.Enter(&Rules{PerAddress: 7}, from("2001:db8::1"), time.Now()); p != nil {
				mu.Lock()
				defer mu.Unlock()
				passes = append(passes, p)
			}
		})
	}
	group.Wait()
	if len(passes) != 7 {
		t.Errorf("%d were let in, want 7", len(passes))
	}
	for _, p := range passes {
		p.Dismiss("eof")
	}
}

func TestFlapping(t *testing.T) {
	rule := &Flapping{Connects: 15, Within: time.Minute, Ban: 5 * time.Minute}
	addr, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	start := time.Now()
	tests := []struct {
		name   string
		every  time.Duration
		want   int // which connect is the first that is refused; 0: none
		within int
	}{
		{"all at once", 0, 16, 20},
		{"100 a second", 10 * time.Millisecond, 16, 20},
		{"one in 3 s", 3 * time.Second, 16, 100},
		{"one in 4.5 s", 4500 * time.Millisecond, 0, 10_000},
		{"one in 5 s", 5 * time.Second, 0, 10_000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var f flappers
			for i := range tt.within {
				now := start.Add(time.Duration(i) * tt.every)
				if !f.connect(addr, rule, now) {
					continue
				}
				if i+1 < tt.want || tt.want == 0 {
					t.Fatalf("connect %d is refused, want %d", i+1, tt.want)
				}
				if i+1 > tt.want+1 {
					t.Fatalf("connect %d is the first that is refused, want %d", i+1, tt.want)
				}
				if f.connect(other, rule, now) {
					t.Error("another address is banned for it")
				}
				for _, later := range []time.Duration{time.Second, rule.Ban - 1} {
					if !f.connect(addr, rule, now.Add(later)) {
						t.Errorf("the ban is over after %v", later)
					}
				}
				for range rule.Connects { // connects during the ban have not prolonged it, and are forgotten
					if f.connect(addr, rule, now.Add(rule.Ban)) {
						t.Error("the ban is not over, or what led to it is not forgotten")
					}
				}
				return
			}
			if tt.want > 0 {
				t.Errorf("%d connects, and none is refused", tt.within)
			}
		})
	}
}

// TestFlappersForget: what is remembered is bounded, and goes when there is nothing left to know.
func TestFlappersForget(t *testing.T) {
	rule := &Flapping{Connects: 1, Within: time.Minute, Ban: 5 * time.Minute}
	now := time.Now()
	var f flappers
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	for i := range maxFlappers + 10 {
		f.connect(addr(i), rule, now)
	}
	if len(f.byAddr) != maxFlappers {
		t.Errorf("%d addresses are remembered, want %d", len(f.byAddr), maxFlappers)
	}
	if f.byAddr[addr(9)] != nil || f.byAddr[addr(10)] == nil {
		t.Error("it is not the oldest that was forgotten")
	}
	f.connect(addr(10), rule, now) // banned
	now = now.Add(2 * rule.Within)
	for range maxFlappers/2 + 1 {
		f.connect(other, rule, now)
	}
	if len(f.byAddr) != 2 || f.byAddr[addr(10)] == nil {
		t.Errorf("%d addresses are remembered, want the one that is banned, and the one that connects", len(f.byAddr))
	}
	now = now.Add(rule.Ban)
	f.connect(other, rule, now)
	if len(f.byAddr) != 1 {
		t.Errorf("%d addresses are remembered, want the one that connects", len(f.byAddr))
	}
	for e, n := f.head, 0; e != nil; e, n = e.older, n+1 {
		if n > 0 || f.tail != e {
			t.Error("the list is not as long as the map")
		}
	}
}

var other = netip.MustParseAddr("192.0.2.2")

// BenchmarkEnter is what it costs to let in, and to refuse.
func BenchmarkEnter(b *testing.B) {
	for _, bb := range []struct {
		name  string
		rules Rules
	}{
		{"no limits", Rules{}},
		{"let in", Rules{PerAddress: 1, Flapping: Flapping{Connects: 1 << 40, Within: time.Minute, Ban: time.Minute}}},
		{"banned", Rules{Flapping: Flapping{Connects: 1, Within: time.Hour, Ban: time.Hour}}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			l := AcquireLive(fmt.Sprint(b.Name(), b.N))
			defer ReleaseLive(l)
			b.ReportAllocs()
			now := time.Now()
			for b.Loop() {
				if p, _ := l.Enter(&bb.rules, from("192.0.2.1"), now); p != nil {
					p.Dismiss("eof")
				}
			}
		})
	}
}
