package gateway

import (
	"os"
	"os/signal"
	"syscall"
)

// drainForExit drains all handlers and returns when nobody is left. Caddy waits for that, as long as it takes, before it ends the process. A second signal closes all
// that are left at once: Caddy takes no notice of most of them by then.
func drainForExit(s Schedule) {
	refuse()
	if s.Grace <= 0 && s.Window <= 0 {
		return // the end of the process closes them
	}
	second := make(chan os.Signal, 1)
	signal.Notify(second, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	defer signal.Stop(second)

	all, release := holdAll()
	defer release()
	var drains []*draining
	for _, l := range all {
		drains = append(drains, l.startDrain(drainExit, s))
	}
	waiting := make(chan struct{})
	go func() {
		defer close(waiting)
		for _, d := range drains {
			<-d.done
		}
	}()
	select {
	case <-waiting:
	case sig := <-second:
		Log.Warn("second signal: closing what is left", "signal", sig.String())
		for _, d := range drains {
			close(d.hurry)
		}
		<-waiting
	}
}

// holdAll counts the caller as a user of all handlers there are, until release.
func holdAll() (all []*Live, release func()) {
	for _, l := range allLives() {
		all = append(all, AcquireLive(l.Name))
	}
	return all, func() {
		for _, l := range all {
			ReleaseLive(l)
		}
	}
}
