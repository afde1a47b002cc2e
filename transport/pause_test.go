package transport

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// pausing is a Logic's Data that uses what it is told to, pauses after each call, and reports what it was given.
func pausing(use func(have int) int) (data func(time.Time, []byte) (int, Next), given chan []byte) {
	given = make(chan []byte, 100)
	return func(_ time.Time, b []byte) (int, Next) {
		used := use(len(b))
		given <- bytes.Clone(b)
		return used, Pause
	}, given
}

func useAll(have int) int { return have }

// After Pause nothing is read, although there is something to read and the owner looks up.
func TestPauseStopsReading(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		data, given := pausing(useAll)
		ticked := make(chan struct{})
		l := &life{data: data, tick: func(time.Time) Next { ticked <- struct{}{}; return More }}
		s := start(t, n, nil, l).run(t)
		must(t, s.peer, []byte("a"))
		within(t, given, "the first byte")
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			_, _ = s.peer.Write([]byte("b")) // on a pipe it lasts until the end, in vain
		}()
		if n.name != "pipe" {
			within(t, sent, "the peer")
		}
		for range 3 { // More from a Tick does not end the pause
			s.Wake()
			within(t, ticked, "a tick")
		}
		select {
		case b := <-given:
			t.Fatalf("read %q in a pause", b)
		default:
		}
		// Resume has Data called, with nothing; that it pauses again holds.
		s.Resume()
		if b := within(t, given, "Data after Resume"); len(b) != 0 {
			t.Fatalf("given %q, not nothing", b)
		}
		l.stop.Store(true)
		s.Wake()
		if err := s.end(t); err != nil {
			t.Error(err)
		}
		_ = s.peer.Close()
		within(t, sent, "the peer")
	})
}

func TestResumeReadsOn(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		given := make(chan string, 10)
		s := start(t, n, nil, &life{data: func(_ time.Time, b []byte) (int, Next) {
			given <- string(b)
			if len(b) == 0 {
				return 0, More
			}
			return len(b), Pause
		}}).run(t)
		for _, word := range []string{"abc", "def", "ghi"} {
			must(t, s.peer, []byte(word))
			if got := within(t, given, word); got != word {
				t.Fatalf("given %q, not %q", got, word)
			}
			s.Resume()
			if got := within(t, given, "Data after Resume"); got != "" {
				t.Fatalf("given %q, not nothing", got)
			}
		}
	})
}

// A Resume that comes before the pause has begun prevents it, however long before; but not the next one.
func TestResumeBeforeThePause(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		for _, when := range []string{"before Serve", "in Data", "in a tick"} {
			t.Run(when, func(t *testing.T) {
				given, ticked := make(chan string, 10), make(chan struct{}, 1)
				l := &life{}
				s := start(t, n, nil, l)
				resume := func(now string) {
					if when == now {
						when = ""
						s.Resume()
					}
				}
				l.tick = func(time.Time) Next {
					resume("in a tick")
					ticked <- struct{}{}
					return More
				}
				l.data = func(_ time.Time, b []byte) (int, Next) {
					given <- string(b)
					resume("in Data")
					return 1, Pause
				}
				resume("before Serve")
				s.run(t)
				s.Wake()
				within(t, ticked, "the tick")
				must(t, s.peer, []byte("abc"))
				for _, want := range []string{"abc", "bc"} {
					if got := within(t, given, want); got != want {
						t.Errorf("given %q, not %q", got, want)
					}
				}
				s.Wake()
				within(t, ticked, "the tick in the second pause")
				if len(given) != 0 {
					t.Errorf("given %q in the second pause", <-given)
				}
			})
		}
	})
}

// What a paused logic has left comes again after each Resume, and nothing new.
func TestPauseWithRestLeft(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		for _, size := range []int{10, 3_000, holdAbove + 1_000, 100_000} {
			whole := make(chan struct{})
			want, off, step := stream(size), 0, size/10
			l := &life{}
			s := start(t, n, nil, l)
			l.data = func(_ time.Time, b []byte) (int, Next) {
				switch {
				case !bytes.Equal(b, want[off:min(off+len(b), size)]):
					t.Errorf("of %d: %d bytes that are not those from %d on", size, len(b), off)
					return 0, Close
				case off == 0 && len(b) < size:
					return 0, More // all shall be there before the first pause
				case len(b) < size-off:
					t.Errorf("of %d: %d bytes came again, not %d", size, len(b), size-off)
					return 0, Close
				case off == size:
					if held := s.held(); held > tlsRecord && held > size {
						t.Errorf("of %d: %d bytes are held for nothing", size, held)
					}
					close(whole)
					return 0, More
				}
				used := min(step, len(b))
				off += used
				go s.Resume()
				return used, Pause
			}
			s.run(t)
			sent := send(t, s.peer, want, size)
			within(t, whole, "all bytes")
			within(t, sent, "the peer")
		}
	})
}

// Many Resumes count as one, and each pause needs its own.
func TestResumesAreNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data, given := pausing(useAll)
		s := start(t, networks[2], nil, &life{data: data}).run(t)
		must(t, s.peer, []byte("a"))
		synctest.Wait()
		for range 3 {
			s.Resume()
			s.Resume()
			synctest.Wait()
		}
		// The first byte, and one or two calls for each round: the second Resume may have come when the first had been seen.
		if calls := len(given); calls < 4 || calls > 7 {
			t.Errorf("Data was called %d times for 6 Resumes, in pairs", calls)
		}
		before := len(given)
		synctest.Wait()
		time.Sleep(time.Hour)
		if calls := len(given); calls != before {
			t.Errorf("Data was called %d times with no Resume", calls-before)
		}
	})
}

// Ticks go on in a pause, at their moments; only Close counts.
func TestTicksInAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var ticks []time.Duration
		l := &life{deadline: func() time.Time { return begin.Add(time.Duration(len(ticks)+1) * time.Minute) }}
		l.tick = func(now time.Time) Next {
			ticks = append(ticks, now.Sub(begin))
			return []Next{More, Pause, More, Close}[len(ticks)-1]
		}
		l.data = func(_ time.Time, b []byte) (int, Next) {
			if len(b) == 0 {
				t.Error("Data was called without a Resume")
			}
			return len(b), Pause
		}
		s := start(t, networks[2], nil, l).run(t)
		must(t, s.peer, []byte("a"))
		if err := s.wait(); err != nil {
			t.Error(err)
		}
		if want := []time.Duration{1 * time.Minute, 2 * time.Minute, 3 * time.Minute, 4 * time.Minute}; !slices.Equal(ticks, want) {
			t.Errorf("ticked at %v, not at %v", ticks, want)
		}
	})
}

// A Tick may begin a pause, too.
func TestTickPauses(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		given, ticked := make(chan string, 10), make(chan struct{}, 10)
		s := start(t, n, nil, &life{
			tick: func(time.Time) Next { ticked <- struct{}{}; return Pause },
			data: func(_ time.Time, b []byte) (int, Next) { given <- string(b); return len(b), More },
		}).run(t)
		s.Wake()
		within(t, ticked, "the tick")
		sent := send(t, s.peer, []byte("a"), 1)
		s.Wake()
		within(t, ticked, "a tick in the pause")
		if len(given) != 0 {
			t.Errorf("read %q in a pause", <-given)
		}
		s.Resume()
		if got := within(t, given, "Data after Resume") + within(t, given, "what came in the pause"); got != "a" {
			t.Errorf("given %q", got)
		}
		within(t, sent, "the peer")
	})
}

// A write that fails ends a pause, and the connection.
func TestFailedWriteEndsAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data, _ := pausing(useAll)
		s := start(t, networks[2], nil, &life{data: data}).run(t)
		must(t, s.peer, []byte("a"))
		synctest.Wait()
		if _, err := s.Write([]byte("nobody reads this")); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := s.wait(); !errors.Is(err, ErrWriteTimeout) {
			t.Errorf("ended with %v", err)
		}
		if took := time.Since(began); took != defaultWriteTimeout {
			t.Errorf("ended after %v", took)
		}
	})
}
