package gateway

import "time"

// pace has long work of the admin API rest in between: it is never so urgent that traffic should feel it. On a machine whose cores are all busy it is not enough to let
// other goroutines go first; a process that always has something to do waits for its turn like any other, and its traffic with it. So a tenth of one core is what
// this work takes.
type pace struct{ began time.Time }

const (
	workFor = 200 * time.Microsecond
	restFor = 2 * time.Millisecond
)

// rest is called between small steps.
func (p *pace) rest() {
	now := time.Now()
	if p.began.IsZero() {
		p.began = now
	}
	if now.Sub(p.began) >= workFor {
		time.Sleep(restFor)
		p.began = time.Time{}
	}
}
