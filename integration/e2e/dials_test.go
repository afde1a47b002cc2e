package e2e

import (
	"encoding/json"
	"net"
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
			c := start(t, config(dialsConfig), places{"backend": addr})
			eventually(t, "all dials", func() bool { return c.upstream("devices", "", "").Backends[0].Failures >= len(waits) })
			said := c.log.waits(t)
			for i, want := range waits {
				if i >= len(said) || said[i] != want {
					t.Fatalf("the log has it dialled again after %v, not %v", said, waits)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for i := 1; accepts && i < len(waits); i++ {
				if gap := came[i].Sub(came[i-1]); gap < waits[i-1]-50*ms { // it may be later on a busy machine, and was accepted later than it was dialled
					t.Errorf("dial %d came %v after the one before, not %v", i, gap, waits[i-1])
				}
			}
			u := c.upstream("devices", "", "").Backends[0]
			if u.State != "reconnecting" && u.State != "paused" || u.Error == "" || u.Breaker == "closed" {
				t.Errorf("%+v", u)
			}
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
