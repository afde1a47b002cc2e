package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// runCrowd has thousands of clients lose their connections, and come back with their tokens within one second.
func runCrowd(w *world, out *outcome) error {
	n := 9000 // a process may have 20,000 descriptors on many systems: the gateway may need two for each
	if w.short {
		n = 300
	}
	backend, err := w.backend("plain", "-journal", w.journal("plain.journal"))
	if err != nil {
		return err
	}
	r, _, err := twoRoutes([]string{backend}, nil, w.sqlite)
	if err != nil {
		return err
	}
	g, err := w.gateway("gateway", r)
	if err != nil {
		return err
	}
	tokens := make([][]byte, n)
	// greet has all say HELLO, each at its moment within the time, and returns how long each waited for its WELCOME.
	greet := func(within time.Duration, resumed bool) (took []time.Duration, conns []net.Conn, failed int64, why error) {
		took, conns = make([]time.Duration, n), make([]net.Conn, n)
		var (
			all    sync.WaitGroup
			first  atomic.Pointer[error]
			errors atomic.Int64
		)
		for i := range n {
			all.Go(func() {
				w.pauseFor(within * time.Duration(i) / time.Duration(n))
				began := time.Now()
				welcome, nc, err := sayHello(r.Addr, clientID(uint32(i+1)), tokens[i])
				if err == nil && welcome.resumed != resumed {
					err = fmt.Errorf("resumed: %v, want %v", welcome.resumed, resumed)
				}
				if err != nil {
					errors.Add(1)
					first.CompareAndSwap(nil, &err)
					return
				}
				tokens[i] = slices.Clone(welcome.token)
				took[i], conns[i] = time.Since(began), nc
			})
		}
		all.Wait()
		if err := first.Load(); err != nil {
			why = *err
		}
		slices.Sort(took)
		return took, conns, errors.Load(), why
	}
	leave := func(conns []net.Conn) {
		for _, nc := range conns {
			if nc != nil {
				_ = nc.Close()
			}
		}
	}
	_, conns, failed, why := greet(10*time.Second, false)
	leave(conns)
	if why != nil {
		return fmt.Errorf("%d of %d new sessions: %w", failed, n, why)
	}
	w.pauseFor(time.Second)
	before := g.resident()
	peak := w.watch(g.resident)
	began := time.Now()
	took, conns, failed, why := greet(time.Second, true)
	all := time.Since(began)
	highest := peak()
	leave(conns)
	out.note("clients that resume in one second", float64(n), "")
	out.none("that failed", int(failed))
	if why != nil {
		w.say("the first failed with: %v", why)
	}
	out.note("until all were welcome", all.Seconds(), "s")
	out.note("p50", ms(percentile(took, 0.5)), "ms")
	out.note("p99", ms(percentile(took, 0.99)), "ms")
	out.note("memory of the gateway before", float64(before)/1e6, "MB")
	out.note("memory at the peak", float64(highest)/1e6, "MB")
	return nil
}

// sayHello connects, and returns the WELCOME.
func sayHello(addr, client string, token []byte) (welcome, net.Conn, error) {
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return welcome{}, nil, err
	}
	s := newStream(nc, false)
	s.put(frame{cmd: cmdHello, payload: hello{caps: capQoS | capResume, expiry: 3600, client: []byte(client), token: token}.append(nil)})
	err = s.flush()
	var f frame
	if err == nil {
		f, err = s.next(patience)
	}
	if err == nil && f.cmd != cmdWelcome {
		err = fmt.Errorf("the answer to HELLO is command 0x%02X: %q", f.cmd, f.payload)
	}
	var answer welcome
	if err == nil {
		answer, err = parseWelcome(f.payload)
	}
	if err != nil {
		_ = nc.Close()
		return welcome{}, nil, err
	}
	return answer, nc, nil
}

// watch samples a value until the function that it returns is called, which returns the highest.
func (w *world) watch(value func() int64) (highest func() int64) {
	over := make(chan struct{})
	var peak int64
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			peak = max(peak, value())
			select {
			case <-time.After(20 * time.Millisecond):
			case <-over:
				return
			}
		}
	})
	return func() int64 {
		close(over)
		watching.Wait()
		return peak
	}
}

// runFlood publishes ten million messages to a backend that is away: as fast as the gateway takes them at QoS 0, and as fast as the window allows at QoS 1. Memory and disk must
// stay within what the configuration allows.
func runFlood(w *world, out *outcome) error {
	messages, longest := 10_000_000, time.Minute
	if w.short {
		messages, longest = 100_000, 2*time.Second
	}
	absent, err := freeAddr()
	if err != nil {
		return err
	}
	r, _, err := twoRoutes([]string{absent}, nil, w.sqlite)
	if err != nil {
		return err
	}
	r.QueueOptions = "capacity 1000 1MiB"
	g, err := w.gateway("gateway", r)
	if err != nil {
		return err
	}
	before := g.resident()
	memory, disk := w.watch(g.resident), w.watch(func() int64 { return sizeOf(w.path("plain.db*")) })

	// One that keeps the rules: it has its window open, and waits.
	polite := w.add(1, own, silent, to(r.Addr))[0]
	stop := w.fill(polite.(*ownDevice))
	// One that keeps none: it writes, at QoS 0 and then at QoS 1, and reads nothing.
	sent := 0
	var ends []error
	for _, qos := range []uint8{0, 1} {
		n, err := w.rush(r.Addr, qos, messages, longest)
		sent += n
		ends = append(ends, err)
	}
	stop()
	highest, largest := memory(), disk()
	for i, err := range ends {
		w.say("the flood at QoS %d ended with: %v", i, err)
	}
	out.note("messages written by one that keeps no rule", float64(sent), "")
	published, acked, _ := polite.book().counts()
	out.note("published by one that keeps them", float64(published), "")
	out.note("of these acknowledged", float64(acked), "")
	out.note("memory of the gateway before", float64(before)/1e6, "MB")
	out.atMost("more at the peak", float64(highest-before)/1e6, 64, "MB")
	out.atMost("largest database", float64(largest)/1e6, 64, "MB")
	if _, err := g.metrics(); err != nil {
		return fmt.Errorf("the gateway does not answer any more: %w", err)
	}
	return nil
}

// fill keeps a device's window full until the function that it returns is called.
func (w *world) fill(d *ownDevice) (stop func()) {
	var filling sync.WaitGroup
	ctx, cancel := context.WithCancel(w.ctx)
	filling.Go(func() { d.keepFull(ctx, 64, 1) })
	return func() {
		cancel()
		filling.Wait()
	}
}

// rush writes messages and reads nothing, until all are written, the gateway hangs up, or the time is over.
func (w *world) rush(addr string, qos uint8, messages int, longest time.Duration) (written int, err error) {
	_, nc, err := sayHello(addr, fmt.Sprint("flood-", qos), nil)
	if err != nil {
		return 0, err
	}
	defer nc.Close()
	s := newStream(nc, false)
	deadline := time.Now().Add(longest)
	if err := nc.SetDeadline(deadline); err != nil {
		return 0, err
	}
	payload := message{device: 1, qos: qos, number: 1}.append(nil, 64)
	for written < messages && time.Now().Before(deadline) && w.ctx.Err() == nil {
		for range 256 {
			f := frame{cmd: cmdApp, qos: qos, payload: payload}
			if qos > 0 {
				f.id = uint32(written + 1)
			}
			s.put(f)
			written++
		}
		if _, err := s.Write(s.out); err != nil {
			return written, err
		}
		s.out = s.out[:0]
	}
	return written, nil
}

// sizeOf is the size of files that match, in bytes.
func sizeOf(pattern string) (total int64) {
	names, _ := filepath.Glob(pattern)
	for _, name := range names {
		if info, err := os.Stat(name); err == nil {
			total += info.Size()
		}
	}
	return total
}
