package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// full says that the test shall do all that it can, as GOPR_FULL asks; otherwise it is a quick version of the same.
func full() bool { return os.Getenv("GOPR_FULL") != "" }

// scale returns the number for a full run, or the one for a quick run.
func scale(all, few int) int {
	if full() {
		return all
	}
	return few
}

// onGopr is a handler on a listener of the network gopr. What a reload changes is max_payload.
const onGopr = `
		gopr/${gateway} {
			route {
				gopr devices {
					max_payload 1000
					respond echo
				}
			}
		}
`

// TestListenerOverReloads: of clients that connect as fast as they can, none is refused or reset by a reload.
func TestListenerOverReloads(t *testing.T) {
	c := start(t, config(onGopr), nil)
	addr := c.addr("gateway")
	var stop atomic.Bool
	var connects atomic.Int64
	var wg sync.WaitGroup
	failed := make(chan error, 8)
	for range 8 {
		wg.Go(func() {
			for !stop.Load() {
				if err := comeAndGo(addr); err != nil {
					failed <- err
					return
				}
				connects.Add(1)
			}
		})
	}
	began := time.Now()
	reloads := scale(100, 15)
	for i := range reloads {
		if err := c.load(strings.Replace(config(onGopr), "max_payload 1000", fmt.Sprint("max_payload ", 1001+i), 1)); err != nil {
			t.Error(err)
			break
		}
		at := connects.Load()
		eventually(t, "more connects", func() bool { return connects.Load() > at+200 || len(failed) > 0 })
	}
	stop.Store(true)
	wg.Wait()
	close(failed)
	for err := range failed {
		t.Errorf("a client was let down: %v", err)
	}
	took := time.Since(began)
	t.Logf("%d connects in %v, %.0f a second, over %d reloads", connects.Load(), took.Round(time.Millisecond), float64(connects.Load())/took.Seconds(), reloads)
}

// comeAndGo connects, asks, and goes without leaving a connection in TIME_WAIT, of which there is room for some 28,000.
func comeAndGo(addr string) error {
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return err
	}
	defer func() { _ = nc.Close() }()
	if err := (&device{Conn: nc}).ask("come and go"); err != nil {
		return err
	}
	return nc.(*net.TCPConn).SetLinger(0)
}

// TestListenerMoves: a reload adds a port, moves one to the network gopr and back, and removes one; live connections go on.
func TestListenerMoves(t *testing.T) {
	plain := config(strings.Replace(onGopr, "gopr/", "", 1))
	c := start(t, plain, nil)
	live := dial(t, c.addr("gateway"))
	check(t, live.ask("before all"))
	for _, step := range []struct{ name, caddyfile string }{
		{"to gopr", config(onGopr)},
		{"a second port", config(strings.Replace(onGopr, "gopr/${gateway}", "gopr/${gateway} gopr/${second}", 1))},
		{"only the second", config(strings.Replace(onGopr, "gopr/${gateway}", "gopr/${second}", 1))},
		{"back to the first", config(onGopr)},
		{"back to plain", plain},
	} {
		t.Run(step.name, func(t *testing.T) {
			check(t, c.load(step.caddyfile))
			check(t, live.ask("live, after "+step.name))
			for _, name := range []string{"gateway", "second"} {
				if c.places[name] == "" {
					continue
				}
				nc, err := net.Dial("tcp", c.addr(name))
				switch listens := strings.Contains(step.caddyfile, "${"+name+"}"); {
				case listens != (err == nil):
					t.Fatalf("dialling the %s port: %v", name, err)
				case err == nil:
					check(t, newDevice(t, nc).ask("new, after "+step.name))
				}
			}
		})
	}
}

// TestListenerOutOfDescriptors: a process that has no descriptors left accepts again as soon as it has.
func TestListenerOutOfDescriptors(t *testing.T) {
	script := filepath.Join(t.TempDir(), "caddy")
	check(t, os.WriteFile(script, fmt.Appendf(nil, "#!/bin/sh\nulimit -n 64 && exec %q \"$@\"\n", binary(t)), 0o700))
	c := startBinary(t, script, config(onGopr), nil)
	var clients []net.Conn
	for range 100 {
		nc, err := net.Dial("tcp", c.addr("gateway"))
		check(t, err)
		clients = append(clients, nc)
		t.Cleanup(func() { _ = nc.Close() })
	}
	eventually(t, "it runs out of descriptors", func() bool { return c.log.contains("can't accept connections") })
	served := 0
	for _, nc := range clients[:30] {
		if err := (&device{Conn: nc}).ask("while there are none"); err == nil {
			served++
		}
	}
	for _, nc := range clients {
		_ = nc.Close()
	}
	for range 10 {
		check(t, dial(t, c.addr("gateway")).ask("after it"))
	}
	if n := c.metrics()["caddy_gopr_accept_errors_total"]; n == 0 {
		t.Error("no failed accept is counted")
	}
	t.Logf("%d of the first 30 clients were served meanwhile", served)
}

// TestListenerOfRejectedConfiguration: a configuration that is refused because one of its ports is taken leaves none of the others open.
func TestListenerOfRejectedConfiguration(t *testing.T) {
	c := start(t, config(onGopr), nil)
	var taken net.Listener
	for {
		ln, err := net.Listen("tcp", freeAddr(t))
		if err == nil {
			taken = ln
			break
		}
	}
	defer func() { _ = taken.Close() }()
	two := strings.Replace(onGopr, "gopr/${gateway}", "gopr/${gateway} gopr/${second} gopr/"+taken.Addr().String(), 1)
	if err := c.load(config(two)); err == nil {
		t.Fatal("a port that is taken was not refused")
	}
	eventually(t, "the port of the rejected configuration is closed", func() bool {
		nc, err := net.Dial("tcp", c.addr("second"))
		if err == nil {
			_ = nc.Close()
		}
		return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
	})
	for range 20 {
		check(t, comeAndGo(c.addr("gateway")))
	}
}
