package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// maxFDs is how many descriptors are used at the most: a process has no more than 20,000 on some systems, and needs a few for itself.
const maxFDs = 19900

// heartbeats is how many pings each idle connection sends: what they cost beyond the connection is part of it.
const heartbeats = 3

// idle weighs open connections that have sent pings, and do nothing more. Every peer is a fresh process.
func (s *suite) idle(ctx context.Context, o options, dir string, asked []scenario, res *result, f *fleet) error {
	for _, sc := range asked {
		into := newSeries(sc)
		for _, k := range s.kinds {
			if !k.asked(o) || sc.conns*max(1, k.fds) > maxFDs {
				continue
			}
			each, err := k.weigh(ctx, o, dir, sc.conns, f)
			f.stop()
			if errors.Is(err, errMissing) {
				fmt.Fprintf(os.Stderr, "%s: %v\n", k.name, err)
				continue
			}
			if err != nil {
				return fmt.Errorf("%v idle connections to %s: %w", sc, k.name, err)
			}
			into.Peers = append(into.Peers, k.name)
			into.Samples[k.name] = []sample{{Resident: each}}
			fmt.Fprintf(os.Stderr, "idle %v: %s\n", sc, k.name)
		}
		res.Scenarios = append(res.Scenarios, into)
		res.table(os.Stdout, into)
	}
	return nil
}

// weigh returns what each of so many idle connections adds to the peer's resident memory.
func (k kind) weigh(ctx context.Context, o options, dir string, conns int, f *fleet) (each float64, err error) {
	backend, err := direct.start(ctx, o, dir, "", nil, f)
	if err != nil {
		return 0, err
	}
	p, err := k.start(ctx, o, dir, backend.addr, nil, f)
	if err != nil {
		return 0, err
	}
	// A few first, so that what the process grows by once is not counted.
	if err := crowd(p.addr, 50, p.collect); err != nil {
		return 0, err
	}
	p.collect()
	before := resident(p.pid())
	if before == 0 {
		return 0, fmt.Errorf("%w: this system does not tell a process's memory", errMissing)
	}
	err = crowd(p.addr, conns, func() {
		p.collect()
		each = float64(resident(p.pid())-before) / float64(conns)
	})
	return each, err
}

// crowd opens so many connections, pings over each, calls then, pings again, so that they are all still there, and closes them.
func crowd(addr string, n int, then func()) (err error) {
	conns := make([]net.Conn, 0, n)
	defer func() {
		for _, nc := range conns {
			_ = nc.(*net.TCPConn).SetLinger(0) // no TIME_WAIT: the next peer needs as many ports
			_ = nc.Close()
		}
	}()
	for range n {
		nc, err := net.DialTimeout("tcp", addr, 10*time.Second)
		if err != nil {
			return err
		}
		conns = append(conns, nc)
	}
	for range heartbeats {
		if err := pingAll(conns); err != nil {
			return err
		}
	}
	then()
	return pingAll(conns)
}

// pingAll sends a ping over each connection and waits for its pong, a few at a time.
func pingAll(conns []net.Conn) error {
	ping := wire.AppendPing(nil, wire.Ping{})
	const atOnce = 64
	for some := range slices.Chunk(conns, atOnce) {
		var wg sync.WaitGroup
		failed := make([]error, len(some))
		for i, nc := range some {
			wg.Go(func() {
				_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
				if _, err := nc.Write(ping); err != nil {
					failed[i] = err
					return
				}
				_, failed[i] = io.ReadFull(nc, make([]byte, len(ping)))
			})
		}
		wg.Wait()
		if err := errors.Join(failed...); err != nil {
			return err
		}
	}
	return nil
}

// collect has the peer give back memory that it does not use, where it is one that collects garbage; and waits until its size rests.
func (p *peer) collect() {
	if p.frees != nil {
		p.frees(p)
	}
	last := resident(p.pid())
	for end, steady := time.Now().Add(8*time.Second), 0; steady < 4 && time.Now().Before(end); {
		time.Sleep(250 * time.Millisecond)
		now := resident(p.pid())
		if steady++; now < last-last/200 {
			steady = 0
		}
		last = now
	}
}

// frees is how each sort of peer is asked to collect its garbage.
var (
	byAdmin = func(p *peer) {
		client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", p.control)
		}}}
		defer client.CloseIdleConnections()
		for range 2 { // what has a finalizer goes with the second
			if r, err := client.Get("http://127.0.0.1/debug/pprof/heap?gc=1"); err == nil {
				_, _ = io.Copy(io.Discard, r.Body)
				_ = r.Body.Close()
			}
		}
	}
	bySignal = askToFree
)
