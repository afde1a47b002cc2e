package e2e

import (
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// answersLate is a backend that answers after so long.
func answersLate(after time.Duration) serve {
	return func(nc net.Conn, _ <-chan struct{}) {
		d := &device{Conn: nc, forever: true}
		var answering sync.WaitGroup
		defer answering.Wait()
		for {
			f, err := d.next()
			if err != nil {
				return
			}
			switch {
			case f.Cmd == wire.CmdPing && f.Flag == wire.FlagReq:
				_, _ = nc.Write(pong(f.Payload))
			case f.Flag&wire.FlagReq != 0:
				late := answer(f.Payload)
				answering.Go(func() {
					time.Sleep(after)
					_, _ = nc.Write(late)
				})
			}
		}
	}
}

// withDrain is config, with a drain.
func withDrain(grace, drain, layer4 string) string {
	return strings.NewReplacer("grace 0", "grace "+grace, "drain 0", "drain "+drain).Replace(config(layer4))
}

// TestDrainOnTerminate: on SIGTERM, requests in flight are answered, clients are sent away one after the other, nobody is let in, and the process ends with 0.
// GOPR_FULL=1 has a thousand clients and ten seconds.
func TestDrainOnTerminate(t *testing.T) {
	clients := scale(1000, 200)
	grace, window := 500*time.Millisecond, time.Duration(scale(10, 2))*time.Second
	b := newBackend(t, answersLate(grace+window/20))
	c := start(t, withDrain(grace.String(), window.String(), strings.Replace(toBackend, "${gateway}", "gopr/${gateway}", 1)), places{"backend": b.addr})
	var devices []*device
	for range clients {
		d := dial(t, c.addr("gateway"))
		check(t, d.ping("before"))
		devices = append(devices, d)
	}
	for _, d := range devices {
		check(t, d.send(request([]byte("in flight"))))
	}
	eventually(t, "all requests have come in", func() bool { return c.metric("frames_total", "devices", "direction", "in") == float64(clients) })

	type end struct {
		at  time.Duration
		err error
	}
	ends := make(chan end, clients)
	began := time.Now()
	check(t, c.cmd.Process.Signal(syscall.SIGTERM))
	for _, d := range devices {
		go func() {
			err := d.expect(answer([]byte("in flight")))
			if err == nil {
				err = d.ended()
			}
			ends <- end{time.Since(began), err}
		}()
	}
	eventually(t, "nobody is let in", func() bool {
		nc, err := net.Dial("tcp", c.addr("gateway"))
		if err == nil {
			_ = nc.Close()
		}
		return err != nil
	})
	var at []time.Duration
	for range clients {
		e := <-ends
		check(t, e.err)
		at = append(at, e.at)
	}
	<-c.exited
	if c.err != nil {
		t.Errorf("it ended with: %v", c.err)
	}
	slices.Sort(at)
	if at[0] < grace {
		t.Errorf("the first was closed after %v, within the grace of %v", at[0], grace)
	}
	tenths := make([]int, 10)
	for _, a := range at {
		tenths[min(9, max(0, int((a-grace)/(window/10))))]++
	}
	if slices.Max(tenths) == clients { // how evenly they are on a machine that is not busy is in the log, and by a clock of its own a test of package gateway's
		t.Errorf("all of %d were closed in one tenth of the window: %v", clients, tenths)
	}
	t.Logf("%d clients, closed from %v to %v, in tenths of the window: %v; the process ended after %v", clients, at[0].Round(time.Millisecond), at[clients-1].Round(time.Millisecond), tenths,
		time.Since(began).Round(time.Millisecond))
}

// turnedAway dials, and is let in by nobody: the port is closed, or the connection is reset, perhaps while it is being made.
func turnedAway(t *testing.T, addr string) {
	t.Helper()
	if nc, err := net.Dial("tcp", addr); err == nil {
		check(t, newDevice(t, nc).ended())
	}
}

// TestDrainSecondSignal: who does not want to wait signals again. POST /stop begins it, too.
func TestDrainSecondSignal(t *testing.T) {
	for _, tt := range []struct {
		name  string
		first func(*caddy) error
	}{
		{"after SIGTERM", func(c *caddy) error { return c.cmd.Process.Signal(syscall.SIGTERM) }},
		{"after SIGINT", func(c *caddy) error { return c.cmd.Process.Signal(syscall.SIGINT) }},
		{"after POST /stop", func(c *caddy) error { _, _, err := c.admin(http.MethodPost, "/stop", ""); return err }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBackend(t, echoes)
			c := start(t, withDrain("1h", "1h", toBackend), places{"backend": b.addr})
			d := dial(t, c.addr("gateway"))
			check(t, d.ask("before"))
			done := make(chan error, 1)
			go func() { done <- tt.first(c) }()
			eventually(t, "it drains", func() bool { return c.log.contains("drain started") })
			check(t, d.ask("in the grace"))
			turnedAway(t, c.addr("gateway"))
			check(t, c.cmd.Process.Signal(syscall.SIGTERM))
			check(t, d.ended())
			<-c.exited
			check(t, c.err)
			<-done
		})
	}
}

// TestDrainOfAHandlerThatIsGone: a reload without it sends its clients away, and lets those stay that are left when it is back.
func TestDrainOfAHandlerThatIsGone(t *testing.T) {
	b := newBackend(t, echoes)
	c := start(t, withDrain("0", "1h", toBackend), places{"backend": b.addr})
	d := dial(t, c.addr("gateway"))
	check(t, d.ask("before"))
	renamed := func(drain string) string {
		return strings.Replace(withDrain("0", drain, toBackend), "gopr devices", "gopr others", 1)
	}
	check(t, c.load(renamed("2h")))
	eventually(t, "it drains", func() bool { return c.metric("draining", "devices") == 1 })
	check(t, d.ask("while it is gone"))
	check(t, c.load(withDrain("0", "1h", toBackend)))
	eventually(t, "it drains no more", func() bool { return c.metric("draining", "devices") == 0 })
	check(t, d.ask("when it is back"))
	check(t, dial(t, c.addr("gateway")).ask("new"))
	check(t, c.load(renamed("10ms")))
	check(t, d.ended())
	c.closed("devices", "draining", 2)
}

// TestDrainByAdmin: an operator sends the clients of a handler away, and lets clients in again.
func TestDrainByAdmin(t *testing.T) {
	b := newBackend(t, echoes)
	c := start(t, config(toBackend), places{"backend": b.addr})
	d := dial(t, c.addr("gateway"))
	check(t, d.ask("before"))
	ask := func(method, query string, status int, says string) {
		t.Helper()
		got, body, err := c.admin(method, "/gopr/drain"+query, "")
		check(t, err)
		if got != status || !strings.Contains(body, says) {
			t.Errorf("%s %s: %d %s, want %d and %s", method, query, got, body, status, says)
		}
	}
	ask(http.MethodPost, "?handler=device", http.StatusNotFound, `there is no handler \"device\": there are devices`)
	ask(http.MethodPost, "?drain=soon", http.StatusBadRequest, "drain=30s")
	check(t, d.ask("after mistakes"))
	ask(http.MethodPost, "?handler=devices&grace=0s&drain=10ms", http.StatusOK, `{"handlers":[{"handler":"devices","connections":1}],"grace_seconds":0,"drain_seconds":0.01}`)
	check(t, d.ended())
	turnedAway(t, c.addr("gateway"))
	if err := c.load(strings.Replace(config(toBackend), "gopr devices {", "gopr devices {\n\t\t\t\t\tmax_payload 100", 1)); err != nil {
		t.Fatal(err)
	}
	turnedAway(t, c.addr("gateway")) // a reload does not end it
	ask(http.MethodDelete, "", http.StatusOK, `"handler":"devices"`)
	check(t, dial(t, c.addr("gateway")).ask("again"))
}
