package transport

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What was stored before a Wake is seen by a Tick after it, in whatever state the connection is.
func TestNoWakeIsLost(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		for _, state := range []string{"reading", "paused", "reading data", "after the end of the peer"} {
			t.Run(state, func(t *testing.T) {
				var stored atomic.Int64
				seen := make(chan int64, 10_000)
				ready := make(chan struct{}, 1)
				l := &life{tick: func(time.Time) Next { seen <- stored.Load(); return More }}
				l.eof = func(time.Time) Next { ready <- struct{}{}; return More }
				if state == "paused" {
					l.data = func(_ time.Time, b []byte) (int, Next) { ready <- struct{}{}; return len(b), Pause }
				}
				s := start(t, n, nil, l).run(t)
				stop := make(chan struct{})
				var writing sync.WaitGroup
				switch state {
				case "paused":
					must(t, s.peer, []byte("a"))
					within(t, ready, "the pause")
				case "after the end of the peer":
					if !halfClose(t, s.peer) {
						_ = s.peer.Close()
					}
					within(t, ready, "the end")
				case "reading data":
					writing.Go(func() {
						for block := stream(1000); ; {
							select {
							case <-stop:
								return
							default:
								if _, err := s.peer.Write(block); err != nil {
									t.Error(err)
									return
								}
							}
						}
					})
				}
				for i := range int64(300) {
					stored.Store(i)
					s.Wake()
					for within(t, seen, "the tick") < i {
					}
				}
				close(stop)
				writing.Wait()
			})
		}
	})
}

// Wakes from everywhere, all the time, neither block nor stop the reading, nor does one of them go missing at the end.
func TestWakesFromManyGoroutines(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		want := stream(1 << 20)
		f := follow(t, want, func(have int) int { return have - have%100 })
		var woken atomic.Int64
		all := make(chan struct{}, 10_000)
		const wakes = 16 * 100
		l := &life{data: f.data, tick: func(time.Time) Next {
			if woken.Load() == wakes {
				all <- struct{}{}
			}
			return More
		}}
		s := start(t, n, nil, l).run(t)
		sent := send(t, s.peer, want, 1448)
		var waking sync.WaitGroup
		for range 16 {
			waking.Go(func() {
				for range wakes / 16 {
					woken.Add(1)
					s.Wake()
				}
			})
		}
		within(t, f.all, "all bytes")
		within(t, sent, "the peer")
		waking.Wait()
		within(t, all, "the last tick")
	})
}

// All the Wakes before a Tick are one; one made in a call of the logic has the Tick called after that call.
func TestWakesBeforeATickAreOne(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		var calls []string
		l := &life{}
		s := start(t, n, nil, l)
		l.data = func(_ time.Time, b []byte) (int, Next) {
			calls = append(calls, "data "+string(b))
			for range 100 {
				s.Wake()
			}
			return len(b), More
		}
		l.tick = func(time.Time) Next {
			calls = append(calls, "tick")
			switch len(calls) {
			case 2:
				s.Wake() // again
			case 3:
				go func() { _, _ = s.peer.Write([]byte("b")) }()
			case 5:
				return Close
			}
			return More
		}
		s.run(t)
		must(t, s.peer, []byte("a"))
		if err := s.end(t); err != nil {
			t.Error(err)
		}
		if want := []string{"data a", "tick", "tick", "data b", "tick"}; !slices.Equal(calls, want) {
			t.Errorf("calls: %q, not %q", calls, want)
		}
	})
}

func TestWakeBeforeServe(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		l := &life{}
		l.stop.Store(true)
		s := start(t, n, nil, l)
		s.Wake()
		if err := s.Serve(nil); err != nil {
			t.Error(err)
		}
		_ = s.peer.Close()
		s.Wake() // and after the end
		s.Resume()
	})
}

// A peer that never lets the socket run empty does not keep a Wake from being seen.
func TestWakeIsSeenInABulkTransfer(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		pieces, since := 0, -1
		l := &life{}
		s := start(t, n, nil, l)
		l.data = func(_ time.Time, b []byte) (int, Next) {
			pieces++
			if pieces == 20 {
				since = 0
				s.Wake()
			} else if since >= 0 {
				since++
			}
			time.Sleep(100 * time.Microsecond) // the peer is faster than we are
			return len(b), More
		}
		l.tick = func(time.Time) Next { return Close }
		s.run(t)
		go func() {
			for block := stream(256 << 10); ; {
				if _, err := s.peer.Write(block); err != nil {
					return
				}
			}
		}()
		if err := s.end(t); err != nil {
			t.Error(err)
		}
		most := 0
		if n.name == "tls" {
			most = 4 // what it has read and decrypted already
		}
		if since > most {
			t.Errorf("%d pieces came between Wake and Tick", since)
		}
	})
}
