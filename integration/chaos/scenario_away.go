package main

import "time"

// runAway takes the backend away while devices publish: all of it must arrive afterwards, in order, and the backend must not be overrun by dials.
func runAway(w *world, out *outcome) error {
	n, away := 1000, time.Minute
	if w.short {
		n, away = 50, 2*time.Second
	}
	addr, err := w.backend("plain", "-journal", w.journal("plain.journal"))
	if err != nil {
		return err
	}
	p, err := w.spoil(addr) // counts dials
	if err != nil {
		return err
	}
	r, _, err := twoRoutes([]string{p.addr}, nil, w.sqlite)
	if err != nil {
		return err
	}
	g, err := w.gateway("gateway", r)
	if err != nil {
		return err
	}
	devices := w.add(n, own, silent, to(r.Addr))
	stop := publish(devices, time.Second, qos1)
	w.pauseFor(3 * time.Second)

	w.backends[0].kill()
	p.resets(w.rand, 1)
	p.refuses.Store(true)
	before := p.dials.Load()
	w.pauseFor(away)
	out.note("dials in a second while it was away", float64(p.dials.Load()-before)/away.Seconds(), "/s")
	if err := w.backends[0].start(); err != nil {
		return err
	}
	if err := w.backends[0].await(addr); err != nil {
		return err
	}
	p.refuses.Store(false)
	back := time.Now()
	peak, memory := int64(0), g.resident()
	for last := p.dials.Load(); time.Since(back) < 10*time.Second || w.short && time.Since(back) < 3*time.Second; {
		w.pauseFor(100 * time.Millisecond)
		now := p.dials.Load()
		peak, last = max(peak, now-last), now
		memory = max(memory, g.resident())
		if w.short && time.Since(back) > 3*time.Second {
			break
		}
	}
	stop()
	out.note("devices, each with a message a second at QoS 1", float64(n), "")
	out.note("the backend was away", away.Seconds(), "s")
	// The gateway's dial_rate is 1000/s, with a second's worth at once after a rest.
	out.atMost("dials in 100 ms after its return, at the peak", float64(peak), 1100, "")
	out.note("memory of the gateway at the peak", float64(memory)/1e6, "MB")
	return w.conclude(out)
}
