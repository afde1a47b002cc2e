package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// A fault is one way to break something. Faults of one target never overlap; those of different ones do.
type fault struct {
	target string
	what   string
	weight int
	// strike breaks it. It returns for how long it stays broken, and what mends it; nil: it mends itself.
	strike func() (lasts time.Duration, mend func() error, err error)
}

// strike breaks things at random, several at once, until the time is over; then it waits until all is mended. It returns the moment of the last mending, and what was done.
func (w *world) strike(all []fault, most int, d time.Duration) (healed time.Time, timeline []string, err error) {
	var (
		mu     sync.Mutex
		broken []string // targets
		failed error
		wg     sync.WaitGroup
		began  = time.Now()
	)
	note := func(format string, args ...any) {
		timeline = append(timeline, fmt.Sprintf("%7.2f ", time.Since(began).Seconds())+fmt.Sprintf(format, args...))
	}
	for time.Since(began) < d && w.ctx.Err() == nil {
		mu.Lock()
		if failed != nil {
			mu.Unlock()
			break
		}
		var whole []fault
		if len(broken) < most {
			for _, f := range all {
				if !slices.Contains(broken, f.target) {
					for range f.weight {
						whole = append(whole, f)
					}
				}
			}
		}
		if len(whole) > 0 {
			f := whole[w.rand.IntN(len(whole))]
			lasts, mend, err := f.strike()
			if err != nil {
				failed = fmt.Errorf("%s %s: %w", f.target, f.what, err)
			} else if note("%s: %s, %.1f s", f.target, f.what, lasts.Seconds()); mend != nil {
				broken = append(broken, f.target)
				wg.Go(func() {
					w.pauseFor(lasts)
					err := mend()
					mu.Lock()
					defer mu.Unlock()
					if err != nil && failed == nil {
						failed = fmt.Errorf("%s after %s: %w", f.target, f.what, err)
					}
					note("%s: mended", f.target)
					broken = slices.DeleteFunc(broken, func(t string) bool { return t == f.target })
				})
			}
		}
		mu.Unlock()
		w.pauseFor(w.between(100*time.Millisecond, 2*time.Second))
	}
	wg.Wait()
	return time.Now(), timeline, failed
}

// sortFaults gives faults an order that is the same in every run, whatever they were collected from.
func sortFaults(all []fault) {
	slices.SortFunc(all, func(a, b fault) int { return strings.Compare(a.target+" "+a.what, b.target+" "+b.what) })
}

// faultsOf are what can happen to a process.
func (w *world) faultsOf(name string, p *process, restart func() error, longest time.Duration) []fault {
	return []fault{
		{name, "kill -9", 3, func() (time.Duration, func() error, error) {
			p.kill()
			return w.between(0, 2*time.Second), restart, nil
		}},
		{name, "SIGSTOP", 1, func() (time.Duration, func() error, error) {
			return w.between(longest/2, longest), p.carryOn, p.pause()
		}},
	}
}

// faultsOn are what can happen to a network.
func (w *world) faultsOn(name string, p *proxy) []fault {
	return []fault{
		{name, "delay", 4, func() (time.Duration, func() error, error) {
			p.delay.Store(int64(w.between(5*time.Millisecond, 300*time.Millisecond)))
			return w.between(time.Second, 8*time.Second), func() error { p.delay.Store(0); return nil }, nil
		}},
		{name, "nothing passes", 2, func() (time.Duration, func() error, error) {
			over := p.stall()
			return w.between(200*time.Millisecond, 6*time.Second), func() error { over(); return nil }, nil
		}},
		{name, "new connections are refused, and old ones reset", 1, func() (time.Duration, func() error, error) {
			p.refuses.Store(true)
			p.resets(w.rand, 1)
			return w.between(200*time.Millisecond, 3*time.Second), func() error { p.refuses.Store(false); return nil }, nil
		}},
		{name, "connections are cut within a frame", 3, func() (time.Duration, func() error, error) {
			p.cut(w.rand, 0.5)
			return 0, nil, nil
		}},
		{name, "connections are reset", 3, func() (time.Duration, func() error, error) {
			p.resets(w.rand, 0.5)
			return 0, nil, nil
		}},
	}
}
