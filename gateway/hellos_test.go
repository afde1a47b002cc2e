package gateway

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestLine: so many work at a time, and all are served.
func TestLine(t *testing.T) {
	var l line
	var now, most, done atomic.Int32
	var all sync.WaitGroup
	for range 10 * hellosAtOnce {
		all.Add(1)
		l.do(func() {
			defer all.Done()
			n := now.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			time.Sleep(time.Millisecond)
			now.Add(-1)
			done.Add(1)
		})
	}
	all.Wait()
	if done.Load() != 10*hellosAtOnce || most.Load() > hellosAtOnce {
		t.Errorf("%d done, up to %d at once", done.Load(), most.Load())
	}
}

// TestFailedHello: an address whose clients were not let in too often may not say HELLO for a while; others may.
func TestFailedHello(t *testing.T) {
	l := AcquireLive(t.Name())
	defer ReleaseLive(l)
	rules := &Rules{FailedHello: Flapping{Connects: 3, Within: time.Minute, Ban: time.Minute}}
	bad, other := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1)}, &net.TCPAddr{IP: net.IPv4(10, 0, 0, 2)}
	now := time.Now()
	for i := range 4 {
		if !l.MayHello(rules, bad, now) {
			t.Fatalf("refused after %d", i)
		}
		l.HelloFailed(rules, bad, now)
	}
	if l.MayHello(rules, bad, now) {
		t.Error("it may go on")
	}
	if !l.MayHello(rules, other, now) || !l.MayHello(&Rules{}, bad, now) || !l.MayHello(rules, &net.UnixAddr{Name: "@"}, now) {
		t.Error("others may not, either")
	}
	if !l.MayHello(rules, bad, now.Add(time.Minute)) {
		t.Error("it is refused for longer than that")
	}
}
