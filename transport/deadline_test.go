package transport

import (
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// counting counts how often a read deadline is set.
type counting struct {
	net.Conn
	set atomic.Int64
}

func (c *counting) SetReadDeadline(t time.Time) error {
	c.set.Add(1)
	return c.Conn.SetReadDeadline(t)
}

// A deadline that moves on with every piece costs no timer.
func TestDeadlineMovesLazily(t *testing.T) {
	const pieces, apart, idle = 10_000, 10 * time.Millisecond, 30 * time.Second
	synctest.Test(t, func(t *testing.T) {
		nc := &counting{}
		counted := network{pair: func(t testing.TB) (net.Conn, net.Conn) {
			ours, peer := net.Pipe()
			nc.Conn = ours
			return nc, peer
		}}
		last, ticks := time.Now(), 0
		var gap time.Duration
		s := start(t, counted, nil, &life{
			data:     func(now time.Time, b []byte) (int, Next) { last = now; return len(b), More },
			deadline: func() time.Time { return last.Add(idle) },
			tick:     func(now time.Time) Next { ticks++; gap = now.Sub(last); return Close },
		}).run(t)
		for range pieces {
			must(t, s.peer, []byte("frame"))
			time.Sleep(apart)
		}
		synctest.Wait()
		if set, want := nc.set.Load(), int64(pieces*apart/idle+2); set > want {
			t.Errorf("%d pieces over %v set the read deadline %d times, not %d at most", pieces, pieces*apart, set, want)
		}
		if err := s.wait(); err != nil {
			t.Error(err)
		}
		if ticks != 1 || gap != idle {
			t.Errorf("%d ticks, the last %v after the last piece", ticks, gap)
		}
	})
}

// On the raw path the deadline is set when the connection becomes busy, and then about once in each settle.
func TestDeadlineMovesLazilyOnTheRawPath(t *testing.T) {
	t.Parallel()
	const pieces = 2_000
	var last time.Time
	var armed []time.Time
	l := &life{deadline: func() time.Time { return last.Add(time.Minute) }}
	s := start(t, networks[0], nil, l)
	l.data = func(now time.Time, b []byte) (int, Next) {
		last = now
		if len(armed) == 0 || armed[len(armed)-1] != s.goroutine().armed {
			armed = append(armed, s.goroutine().armed)
		}
		_, _ = s.Write(b)
		return len(b), More
	}
	s.run(t)
	began := time.Now()
	buf := make([]byte, 1)
	for range pieces {
		must(t, s.peer, buf)
		if _, err := s.peer.Read(buf); err != nil {
			t.Fatal(err)
		}
	}
	took := time.Since(began)
	_ = s.peer.Close()
	_ = s.end(t)
	if most := 3 + 2*int(took/settle); len(armed) > most {
		t.Errorf("%d pieces in %v set the read deadline %d times", pieces, took, len(armed))
	}
}

func TestTickAtTheDeadline(t *testing.T) {
	for _, tt := range []struct {
		name      string
		deadlines []time.Duration // after the start; each is moved on by the tick
	}{
		{"one", []time.Duration{time.Second}},
		{"a heartbeat", []time.Duration{30 * time.Second, 60 * time.Second, 90 * time.Second}},
		{"very near", []time.Duration{1, 2, 3}},
		{"very far", []time.Duration{1000 * time.Hour}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				var ticks []time.Duration
				s := start(t, networks[2], nil, &life{
					deadline: func() time.Time { return begin.Add(tt.deadlines[min(len(ticks), len(tt.deadlines)-1)]) },
					tick: func(now time.Time) Next {
						ticks = append(ticks, now.Sub(begin))
						if len(ticks) == len(tt.deadlines) {
							return Close
						}
						return More
					},
				}).run(t)
				if err := s.wait(); err != nil {
					t.Error(err)
				}
				if !slices.Equal(ticks, tt.deadlines) {
					t.Errorf("ticked at %v, not at %v", ticks, tt.deadlines)
				}
			})
		})
	}
}

func TestTickAtTheDeadlineOnEach(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		begin := time.Now()
		var ticks []time.Duration
		s := start(t, n, nil, &life{
			deadline: func() time.Time { return begin.Add(time.Duration(len(ticks)+1) * 10 * time.Millisecond) },
			tick: func(now time.Time) Next {
				ticks = append(ticks, now.Sub(begin))
				if len(ticks) == 3 {
					return Close
				}
				return More
			},
		}).run(t)
		if err := s.end(t); err != nil {
			t.Error(err)
		}
		for i, at := range ticks {
			if at < time.Duration(i+1)*10*time.Millisecond {
				t.Errorf("tick %d after %v: nothing called for it", i, at)
			}
		}
	})
}

// A deadline that comes nearer is kept, whether a piece or a Wake has brought it.
func TestDeadlineComesNearer(t *testing.T) {
	for _, by := range []string{"piece", "wake"} {
		t.Run(by, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				at := time.Now().Add(time.Hour)
				near := func(now time.Time) { at = now.Add(time.Second) }
				var ticked time.Time
				s := start(t, networks[2], nil, &life{
					data:     func(now time.Time, b []byte) (int, Next) { near(now); return len(b), More },
					deadline: func() time.Time { return at },
					tick: func(now time.Time) Next {
						if now.Before(at) {
							near(now)
							return More
						}
						ticked = now
						return Close
					},
				}).run(t)
				time.Sleep(time.Minute)
				if by == "piece" {
					must(t, s.peer, []byte("a"))
				} else {
					s.Wake()
				}
				want := time.Now().Add(time.Second)
				if err := s.wait(); err != nil {
					t.Error(err)
				}
				if !ticked.Equal(want) {
					t.Errorf("ticked %v late", ticked.Sub(want))
				}
			})
		})
	}
}

// Without a deadline there is no tick, also when there was a deadline once.
func TestNoDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, ticks := time.Now().Add(time.Minute), 0
		s := start(t, networks[2], nil, &life{
			data:     func(_ time.Time, b []byte) (int, Next) { at = time.Time{}; return len(b), More },
			deadline: func() time.Time { return at },
			tick:     func(time.Time) Next { ticks++; return More },
		}).run(t)
		must(t, s.peer, []byte("a"))
		time.Sleep(1000 * time.Hour)
		synctest.Wait()
		if ticks != 0 {
			t.Errorf("%d ticks", ticks)
		}
		must(t, s.peer, []byte("it still reads"))
	})
}

// When the process was stopped, all deadlines are past when it goes on. What the peer has sent meanwhile is read before the Tick.
func TestLateTickLooksFirst(t *testing.T) {
	const allowed, stopped = 50 * time.Millisecond, 200 * time.Millisecond
	for _, tt := range []struct {
		name string
		send func(peer net.Conn)
		want []string      // what comes after the stop
		tick time.Duration // when the last Tick comes, after the stop
	}{
		{"it spoke", func(peer net.Conn) { _, _ = peer.Write([]byte("b")) }, []string{"data", "tick"}, allowed},
		{"it was silent", func(net.Conn) {}, []string{"tick"}, lookFor},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var calls []string
				last := time.Now()
				begin := last
				var ticked time.Duration
				s := start(t, networks[2], nil, &life{
					data: func(now time.Time, b []byte) (int, Next) {
						calls, last = append(calls, "data"), now
						if len(calls) == 1 {
							time.Sleep(stopped)
						}
						return len(b), More
					},
					deadline: func() time.Time { return last.Add(allowed) },
					tick: func(now time.Time) Next {
						calls, ticked = append(calls, "tick"), now.Sub(begin)-stopped
						return Close
					},
				}).run(t)
				must(t, s.peer, []byte("a"))
				go tt.send(s.peer)
				if err := s.wait(); err != nil {
					t.Error(err)
				}
				if !slices.Equal(calls[1:], tt.want) {
					t.Errorf("then came %q, not %q", calls[1:], tt.want)
				}
				if ticked != tt.tick {
					t.Errorf("the tick came after %v, not %v", ticked, tt.tick)
				}
			})
		})
	}
}

// A peer that goes on dripping bytes which move no deadline gains nothing from the look.
func TestLateTickComesInADrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin, late := time.Now(), true
		var ticked time.Duration
		s := start(t, networks[2], nil, &life{
			data: func(_ time.Time, b []byte) (int, Next) {
				if late {
					late = false
					time.Sleep(time.Second)
				}
				return len(b), More
			},
			deadline: func() time.Time { return begin.Add(time.Millisecond) },
			tick:     func(now time.Time) Next { ticked = now.Sub(begin); return Close },
		}).run(t)
		dripped := make(chan struct{})
		go func() {
			defer close(dripped)
			for {
				if _, err := s.peer.Write([]byte("a")); err != nil {
					return
				}
				time.Sleep(time.Millisecond)
			}
		}()
		if err := s.wait(); err != nil {
			t.Error(err)
		}
		if ticked != time.Second+lookFor {
			t.Errorf("the tick came after %v", ticked)
		}
		<-dripped
	})
}

func TestLateTickLooksFirstOnTheRawPath(t *testing.T) {
	t.Parallel()
	var calls []string
	first, last, waiting := true, time.Now().Add(time.Hour), make(chan struct{})
	s := start(t, networks[0], nil, &life{
		data: func(now time.Time, b []byte) (int, Next) {
			calls, last = append(calls, string(b)), now
			if first {
				first = false
				<-waiting
				last = time.Now().Add(-2 * lateBy) // we were stopped
			}
			return len(b), More
		},
		deadline: func() time.Time { return last.Add(lateBy / 2) },
		tick:     func(time.Time) Next { calls = append(calls, "tick"); return Close },
	}).run(t)
	must(t, s.peer, []byte("a"))
	must(t, s.peer, []byte("b"))
	close(waiting)
	if err := s.end(t); err != nil {
		t.Error(err)
	}
	if want := []string{"a", "b", "tick"}; !slices.Equal(calls, want) && !slices.Equal(calls, []string{"ab", "tick"}) {
		t.Errorf("the calls were %q, not %q", calls, want)
	}
}
