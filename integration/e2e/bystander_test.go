package e2e

import (
	"fmt"
	"testing"
	"time"
)

// bystand has a device of its own ask the handler at addr, again and again on one connection, until stop. It fails the test if that device notices
// anything: an answer that is wrong or does not come, or the end of its connection.
func bystand(t testing.TB, addr string) (stop func()) {
	t.Helper()
	d := dial(t, addr)
	check(t, d.ask("before all"))

	quit, done := make(chan struct{}), make(chan struct{})
	var asked int
	var worst time.Duration
	var err error
	go func() {
		defer close(done)
		for ; err == nil; asked++ {
			began := time.Now()
			err = d.ask(fmt.Sprintf("request %d", asked))
			worst = max(worst, time.Since(began))
			select {
			case <-quit:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	stopped := false
	stop = func() {
		t.Helper()
		if stopped {
			return
		}
		stopped = true
		close(quit)
		<-done
		if err != nil {
			t.Errorf("a bystander noticed, at its request %d: %v", asked, err)
			return
		}
		t.Logf("a bystander asked %d times; the slowest answer took %v", asked, worst)
	}
	t.Cleanup(stop)
	return stop
}
