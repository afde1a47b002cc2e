package e2e

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

const toBackend = `
		${gateway} {
			route {
				gopr devices {
					upstream ${backend}
				}
			}
		}
`

// TestBackendRestart: a backend that is away for three seconds costs no client its connection, and traffic goes on by itself, with default settings.
func TestBackendRestart(t *testing.T) {
	b := newBackend(t, echoes)
	c := start(t, config(toBackend), places{"backend": b.addr})

	devices := make([]*device, 100)
	for i := range devices {
		devices[i] = dial(t, c.addr("gateway"))
	}
	each := func(what string, do func(i int, d *device) error) {
		t.Helper()
		var wg sync.WaitGroup
		for i, d := range devices {
			wg.Go(func() {
				if err := do(i, d); err != nil {
					t.Errorf("device %d, %s: %v", i, what, err)
				}
			})
		}
		wg.Wait()
		if t.Failed() {
			t.FailNow()
		}
	}
	each("before", func(i int, d *device) error { return d.ask(fmt.Sprint("before, device ", i)) })
	links := func(state string) float64 {
		return c.metric("upstream_links", "devices", "backend", b.addr, "state", state)
	}
	if n := links("leased"); n != 100 {
		t.Fatalf("%v links to the backend are leased, want one for each of 100 devices", n)
	}

	b.stop()
	eventually(t, "the gateway notices", func() bool { return links("leased") == 0 })
	if up := c.metric("upstream_up", "devices", "backend", b.addr); up != 0 {
		t.Errorf("upstream_up is %v while the backend is away", up)
	}
	each("while the backend is away", func(_ int, d *device) error { return d.ping("still here?") })

	// Half of the devices ask while nobody can answer, the other half when there is somebody again.
	each("asking while the backend is away", func(i int, d *device) error {
		if i%2 == 0 {
			return d.send(request(fmt.Append(nil, "after, device ", i)))
		}
		return nil
	})
	time.Sleep(3 * time.Second) // how long it is away, not how long something may take
	b.start(t)
	began := time.Now()
	took := make([]time.Duration, len(devices))
	each("after", func(i int, d *device) error {
		payload := fmt.Append(nil, "after, device ", i)
		if i%2 != 0 {
			if err := d.send(request(payload)); err != nil {
				return err
			}
		}
		err := d.expect(answer(payload))
		took[i] = time.Since(began)
		return err
	})
	first, last := took[0], took[0]
	for _, d := range took {
		first, last = min(first, d), max(last, d)
	}
	t.Logf("after a backend was away for 3 s, the first answer came %v after its return, the last of 100 devices' %v", first, last)

	all := c.metrics()
	if n := all[series("connections_opened_total", "devices")]; n != 100 {
		t.Errorf("%v connections were opened, want the first 100 alone", n)
	}
	if n := all[series("connections", "devices")]; n != 100 {
		t.Errorf("%v connections are live, want 100", n)
	}
}

// TestBackendLostWithRequests: a client whose answer can no longer come is closed; its neighbours without a request are not.
func TestBackendLostWithRequests(t *testing.T) {
	b := newBackend(t, echoes)
	c := start(t, config(toBackend), places{"backend": b.addr})

	var asking, idle []*device
	for i := range 10 {
		d := dial(t, c.addr("gateway"))
		check(t, d.ask("a first request"))
		if i%2 == 0 {
			check(t, d.send(hold([]byte("never answered"))))
			check(t, d.ping("is the request through?")) // the gateway answers what comes after it
			asking = append(asking, d)
		} else {
			idle = append(idle, d)
		}
	}
	b.stop()
	for _, d := range asking {
		check(t, d.ended())
	}
	eventually(t, "the gateway notices", func() bool {
		return c.metric("upstream_links", "devices", "backend", b.addr, "state", "leased") == 0
	})
	b.start(t)
	for _, d := range idle {
		check(t, d.ask("a request after all"))
	}
	c.closed("devices", "upstream_lost", len(asking))
	if n := c.metric("connections", "devices"); n != float64(len(idle)) {
		t.Errorf("%v connections are live, want %d", n, len(idle))
	}
}
