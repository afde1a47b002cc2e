package e2e

import (
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// overMux has each stream of a connection served, and counts the connections.
func overMux(t *testing.T, conns *atomic.Int64, each serve) serve {
	return func(nc net.Conn, stopped <-chan struct{}) {
		conns.Add(1)
		c := yamux.DefaultConfig()
		c.LogOutput = io.Discard
		session, err := yamux.Server(nc, c)
		if err != nil {
			t.Error(err)
			return
		}
		var streams sync.WaitGroup
		defer streams.Wait()
		defer func() { _ = session.Close() }()
		for {
			stream, err := session.Accept()
			if err != nil {
				return
			}
			streams.Go(func() {
				defer func() { _ = stream.Close() }()
				each(stream, stopped)
			})
		}
	}
}

// cmdFlood is a command at which floods sends frames without end.
const cmdFlood = 0x68

// floods echoes, until it is asked for more than anybody can take.
func floods(nc net.Conn, _ <-chan struct{}) {
	for d := (&device{Conn: nc, forever: true}); ; {
		f, err := d.next()
		if err != nil {
			return
		}
		answer := wire.AppendFrame(nil, uint8(f.Cmd), wire.FlagRsp, f.Payload)
		if f.Cmd == wire.CmdPing {
			answer = pong(f.Payload)
		}
		for {
			if _, err := nc.Write(answer); err != nil {
				return
			}
			if f.Cmd != cmdFlood {
				break
			}
		}
	}
}

// TestMux: 50 devices over 2 connections, of which one asks for frames without end and reads none. The other 49 go on; how fast, beside 49 without it, the log says.
func TestMux(t *testing.T) {
	const devices, asks = 50, 40
	payload := string(make([]byte, 4<<10))
	speed := func(stuck bool) float64 {
		var conns atomic.Int64
		b := newBackend(t, overMux(t, &conns, floods))
		c := start(t, config("${gopr} {\nroute {\ngopr devices {\nlimits {\npending 64KiB\n}\nupstream ${backend} {\npooling mux\nconnections 0 2\nmax_streams 25\n}\n}\n}\n}"), places{"backend": b.addr})
		if stuck {
			deaf := dial(t, c.places["gopr"])
			check(t, deaf.Conn.(*net.TCPConn).SetReadBuffer(4<<10))
			check(t, deaf.send(wire.AppendFrame(nil, cmdFlood, wire.FlagReq, make([]byte, 32<<10))))
		}
		var all []*device
		for i := range devices - 1 {
			d := dial(t, c.places["gopr"])
			check(t, d.ask(fmt.Sprint("device ", i)))
			all = append(all, d)
		}
		var took time.Duration
		for range 2 { // the second counts: the first is for a process that has just started
			begin := time.Now()
			errs := make(chan error, devices)
			for _, d := range all {
				go func() {
					var err error
					for n := 0; n < asks && err == nil; n++ {
						err = d.ask(payload)
					}
					errs <- err
				}()
			}
			for range all {
				check(t, <-errs)
			}
			took = time.Since(begin)
		}
		if n := conns.Load(); n != 2 {
			t.Errorf("%d connections, want 2", n)
		}
		if n := c.metric("upstream_connections", "devices", "backend", b.addr); n != 2 {
			t.Errorf("upstream_connections is %v, want 2", n)
		}
		want := devices - 1
		if stuck {
			want++
		}
		if n := c.metric("upstream_links", "devices", "backend", b.addr, "state", "leased"); n != float64(want) {
			t.Errorf("%v links, want %d", n, want)
		}
		return float64((devices-1)*asks) / took.Seconds()
	}
	without, with := speed(false), speed(true)
	t.Logf("49 devices: %.0f requests of 4 KiB/s beside one that never reads, %.0f/s without it: %.2f of it", with, without, with/without)
}
