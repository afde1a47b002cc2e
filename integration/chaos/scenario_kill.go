package main

import "time"

// runKill kills the gateway at random moments, under QoS 1 to a plain backend and QoS 1 and 2 to an extended one, with SQLite for sessions and messages.
func runKill(w *world, out *outcome) error {
	rounds := 200
	if w.short {
		rounds = 3
	}
	plain, err := w.backend("plain", "-journal", w.journal("plain.journal"))
	if err != nil {
		return err
	}
	extended, err := w.backend("extended", "-extended", "-answer", "-journal", w.journal("extended.journal"))
	if err != nil {
		return err
	}
	toPlain, toExtended, err := twoRoutes([]string{plain}, []string{extended}, w.sqlite)
	if err != nil {
		return err
	}
	g, err := w.gateway("gateway", toPlain, toExtended)
	if err != nil {
		return err
	}
	const each, every = 20, 50 * time.Millisecond
	one := w.add(each, mixed, silent, to(toPlain.Addr))
	two := w.add(each, mixed, extendedAnswering, to(toExtended.Addr))
	stopOne := publish(one, every, qos1)
	stopTwo := publish(two, every, qos12)
	for range rounds {
		if !w.pauseFor(w.between(100*time.Millisecond, 900*time.Millisecond)) {
			return w.ctx.Err()
		}
		g.kill()
		if err := g.restart(); err != nil {
			return err
		}
	}
	w.pauseFor(2 * time.Second)
	stopOne()
	stopTwo()
	out.note("the gateway was killed", float64(rounds), "times")
	return w.conclude(out)
}
