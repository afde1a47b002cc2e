package main

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// runIdle weighs sessions that do nothing, beside connections that do nothing.
func runIdle(w *world, out *outcome) error {
	n, bound := 5000, 1024.0
	if w.short {
		n, bound = 500, 8192 // so few that what is allocated in large pieces weighs
	}
	out.note("connections", float64(n), "")
	backend, err := w.backend("plain", "-journal", w.journal("plain.journal"))
	if err != nil {
		return err
	}
	if err := w.weigh(out, backend, "SQLite", w.sqlite, n, bound); err != nil {
		return err
	}
	return w.weigh(out, backend, "memory", always("memory"), n, bound)
}

// weigh weighs them with one kind of store.
func (w *world) weigh(out *outcome, backend, name string, store func(string) string, n int, bound float64) error {
	r, _, err := twoRoutes([]string{backend}, nil, store)
	if err != nil {
		return err
	}
	g, err := w.gateway("gateway-"+name, r)
	if err != nil {
		return err
	}
	defer g.kill()
	weigh := func(n int, greet bool) (float64, error) {
		before, err := g.heap()
		if err != nil {
			return 0, err
		}
		conns := make([]*stream, 0, n)
		defer func() {
			for _, s := range conns {
				_ = s.Close()
			}
		}()
		for i := range n {
			nc, err := net.DialTimeout("tcp", r.Addr, patience)
			if err != nil {
				return 0, err
			}
			s := newStream(nc, !greet)
			conns = append(conns, s)
			if greet {
				s.put(frame{cmd: cmdHello, payload: hello{caps: capQoS | capResume, expiry: 3600, client: []byte(clientID(uint32(i + 1)))}.append(nil)})
			} else {
				s.put(frame{cmd: cmdApp, payload: message{device: uint32(i + 1), number: 1}.append(nil, 64)})
				s.put(frame{cmd: cmdPing, flag: flagReq})
			}
			if err := s.flush(); err != nil {
				return 0, err
			}
		}
		for _, s := range conns {
			if _, err := s.next(patience); err != nil {
				return 0, err
			}
		}
		// Each has a link of its own to the backend.
		if err := waitFor("a link for each", patience, func() bool {
			all, err := g.metrics()
			return err == nil && leased(all) == n
		}); err != nil {
			return 0, err
		}
		w.pauseFor(500 * time.Millisecond)
		after, err := g.heap()
		return (after - before) / float64(n), err
	}
	// What grows once and what the first connections touch is not counted.
	if _, err := weigh(n/10, true); err != nil {
		return err
	}
	w.pauseFor(6 * time.Second) // longer than their links are parked
	plain, err := weigh(n, false)
	if err != nil {
		return err
	}
	w.pauseFor(3 * time.Second)
	session, err := weigh(n, true)
	if err != nil {
		return err
	}
	out.note("an idle plain connection, with its link", plain, "bytes")
	out.note("an idle session, with its connection and link, stores in "+name, session, "bytes")
	what := "a session above its connection"
	if name == "memory" {
		what += ", its records in memory among it"
	}
	out.atMost(what, session-plain, bound, "bytes")
	return nil
}

// leased is the number of links that have a client.
func leased(all map[string]float64) (n int) {
	for series, v := range all {
		if strings.HasPrefix(series, "caddy_gopr_upstream_links{") && strings.Contains(series, `state="leased"`) {
			n += int(v)
		}
	}
	return n
}

// heap is the memory that is in use after a garbage collection: heap and stacks, in bytes.
func (g *gateway) heap() (float64, error) {
	for range 2 { // the second frees what the first has finalized
		profile, err := g.ask(http.MethodGet, "/debug/pprof/heap?gc=1", nil)
		if err != nil {
			return 0, err
		}
		if err := os.WriteFile(filepath.Join(g.dir, "heap.pprof"), profile, 0o600); err != nil { // of the last: it says where the memory is
			return 0, err
		}
	}
	all, err := g.metrics()
	return all["go_memstats_heap_inuse_bytes"] + all["go_memstats_stack_inuse_bytes"], err
}
