package e2e

import (
	"encoding/json"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const dialsConfig = `
		${gateway} {
			route {
				gopr devices {
					upstream ${backend} {
						reconnect {
							initial 80ms
							jitter 0
							pause 1s
							stable 10s
						}
					}
				}
			}
		}
`

// TestDialTimes: a backend that refuses, or accepts and hangs up, is dialled after each wait of the backoff, then after a pause, and the waits go on growing. The
// protocol's waits of 1 s, 1.5 s, 2.25 s … and 5 min, scaled down.
func TestDialTimes(t *testing.T) {
	const ms = time.Millisecond
	waits := []time.Duration{80 * ms, 120 * ms, 180 * ms, 270 * ms, 1000 * ms, 405 * ms}
	for _, accepts := range []bool{true, false} {
		t.Run(map[bool]string{true: "accepts and hangs up", false: "refuses"}[accepts], func(t *testing.T) {
			var mu sync.Mutex
			var came []time.Time
			addr := freeAddr(t)
			if accepts {
				addr = newBackend(t, func(net.Conn, <-chan struct{}) {
					mu.Lock()
					defer mu.Unlock()
					came = append(came, time.Now())
				}).addr
			}
			began := time.Now()
			c := start(t, config(dialsConfig), places{"backend": addr})
			var said []time.Duration
			eventually(t, "the log tells of all dials", func() bool { said = c.log.waits(t); return len(said) >= len(waits) })
			if said = said[:len(waits)]; !slices.Equal(said, waits) {
				t.Errorf("the log has it dialled again after %v, not %v", said, waits)
			}
			if accepts {
				var least time.Duration // it may be more on a busy machine
				for _, wait := range waits[:len(waits)-1] {
					least += wait
				}
				mu.Lock()
				if took := came[len(waits)-1].Sub(began); took < least {
					t.Errorf("it was dialled %d times within %v, not %v", len(waits), took, least)
				}
				mu.Unlock()
			}
			eventually(t, "what operators see", func() bool { // but not in the moment of a further dial
				u := c.upstream("devices", "", "").Backends[0]
				return (u.State == "reconnecting" || u.State == "paused") && u.Failures >= len(waits) && u.Error != "" && u.Breaker != "closed"
			})
		})
	}
}

// waits are the times that failures of backends are followed by, as the log says them.
func (l *log) waits(t testing.TB) (all []time.Duration) {
	t.Helper()
	for s := range strings.Lines(l.String()) {
		if !strings.HasSuffix(s, "\n") || !strings.Contains(s, `"backend failed"`) {
			continue
		}
		var line struct {
			NextDialIn float64 `json:"next_dial_in"`
		}
		if err := json.Unmarshal([]byte(s), &line); err != nil {
			t.Fatalf("log line %q: %v", s, err)
		}
		all = append(all, time.Duration(line.NextDialIn*1e6+0.5)*time.Microsecond)
	}
	return all
}
