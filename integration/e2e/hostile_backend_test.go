package e2e

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// behindBad is a handler in front of a bad backend, with bounds tight enough for a test, and a bystander's in front of a good one.
const behindBad = `
		${bystander} {
			route {
				gopr bystander {
					upstream ${good}
				}
			}
		}
		${gateway} {
			route {
				gopr devices {
					upstream ${bad} {
						write_timeout 300ms
						heartbeat 500ms 500ms
						reconnect {
							initial 50ms
							factor 1.1
							attempts 3
							pause 500ms
						}
					}
				}
			}
		}
`

// TestBadBackends: whatever a backend does when it is asked, the clients that wait for its answer are closed, and nobody else notices.
func TestBadBackends(t *testing.T) {
	for _, tt := range []struct {
		name  string
		serve serve
	}{
		{"hangs up when asked", hangsUpWhenAsked},
		{"answers garbage", answersGarbage},
		{"half an answer", halfAnswers},
		{"never answers", neverAnswers},
		{"never reads", neverReads},
	} {
		t.Run(tt.name, func(t *testing.T) {
			good, bad := newBackend(t, echoes), newBackend(t, tt.serve)
			c := start(t, config(behindBad), places{"good": good.addr, "bad": bad.addr})
			stop := bystand(t, c.addr("bystander"))
			defer c.bounded(48 << 20)()

			const n = 5
			devices := make([]*device, n)
			for i := range devices {
				devices[i] = dial(t, c.addr("gateway"))
				check(t, devices[i].send(request([]byte("hello"))))
			}
			flood := bytes.Repeat(request(make([]byte, 60_000)), 200) // more than fits on the way
			var wg sync.WaitGroup
			for i, d := range devices {
				wg.Go(func() {
					_ = d.send(flood) // which fails when the gateway closes
					if err := d.ended(); err != nil {
						t.Errorf("device %d: %v", i, err)
					}
				})
			}
			wg.Wait()
			c.closed("devices", "upstream_lost", n)
			stop()
		})
	}
}

// TestBackendHangsUp: a backend that accepts and hangs up is one that is not there. Its clients wait, it is dialled with pauses, and when it has come to its
// senses everything that waited is answered.
func TestBackendHangsUp(t *testing.T) {
	var sane atomic.Bool
	good := newBackend(t, echoes)
	bad := newBackend(t, func(nc net.Conn, stopped <-chan struct{}) {
		if sane.Load() {
			echoes(nc, stopped)
		}
	})
	c := start(t, config(behindBad), places{"good": good.addr, "bad": bad.addr})
	stop := bystand(t, c.addr("bystander"))
	defer c.bounded(32 << 20)()

	failures := func() float64 { return c.metric("upstream_failures", "devices", "backend", bad.addr) }
	eventually(t, "the backend is given a rest", func() bool { return failures() >= 3 })
	if n := c.metric("upstream_dials_total", "devices", "backend", bad.addr, "outcome", "ok"); n > 10 {
		t.Errorf("it was dialled %v times for 3 failures", n)
	}
	eventually(t, "the log says that a backend failed", func() bool { return len(c.log.lines(t, "backend failed")) > 0 })
	d := dial(t, c.addr("gateway")) // only now: each link that it gets, and that is hung up on, is held against it, too, and the third ends it
	check(t, d.ping("the gateway answers pings, whatever its backend is"))
	check(t, d.send(request([]byte("a request that waits"))))
	check(t, d.ping("the connection is well"))
	sane.Store(true)
	check(t, d.expect(answer([]byte("a request that waits"))))
	stop()
}
