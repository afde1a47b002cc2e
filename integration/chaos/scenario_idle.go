package main

import (
	"bytes"
	"errors"
	"fmt"
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
	weigh := func(n int, greet bool) (each memory, err error) {
		// What ends is still counted until it has ended.
		if err := waitFor("no links in use", patience, func() bool {
			all, err := g.metrics()
			return err == nil && leased(all) == 0
		}); err != nil {
			return each, err
		}
		w.pauseFor(time.Second)
		before, err := g.heap()
		if err != nil {
			return each, err
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
				return each, err
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
				return each, err
			}
		}
		for _, s := range conns {
			if _, err := s.next(patience); err != nil {
				return each, err
			}
		}
		// Each has a link of its own to the backend.
		if err := waitFor("a link for each", patience, func() bool {
			all, err := g.metrics()
			return err == nil && leased(all) == n
		}); err != nil {
			return each, err
		}
		w.pauseFor(time.Second)
		after, err := g.heap()
		return after.per(n, before), err
	}
	// What grows once and what the first connections touch is not counted.
	if _, err := weigh(n/10, true); err != nil {
		return err
	}
	plain, err := weigh(n, false)
	if err != nil {
		return err
	}
	session, err := weigh(n, true)
	if err != nil {
		return err
	}
	suffix := ", stores in " + name
	out.note("an idle plain connection, with its link", plain.used, "bytes")
	out.note("an idle session, with its connection and link"+suffix, session.used, "bytes")
	out.atMost("a session above its connection"+suffix, session.used-plain.used, bound, "bytes")
	out.atMost("its goroutines", session.goroutines, 0.1, "")
	out.note("the same, with stacks and with what Go holds and does not use", session.held-plain.held, "bytes")
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

// memory is a gateway's: bytes that are used, bytes that Go holds for them and for stacks, in pieces that are not full and may be another's next, and goroutines.
type memory struct{ used, held, goroutines float64 }

// per is what of it falls to each of n, beyond what there was before.
func (m memory) per(n int, before memory) memory {
	each := func(a, b float64) float64 { return (a - b) / float64(n) }
	return memory{each(m.used, before.used), each(m.held, before.held), each(m.goroutines, before.goroutines)}
}

// heap is the memory after a garbage collection, as it is before anything is made for telling of it.
func (g *gateway) heap() (m memory, err error) {
	profile, err := g.ask(http.MethodGet, "/debug/pprof/heap?gc=1", nil)
	if err != nil {
		return m, err
	}
	if err := os.WriteFile(filepath.Join(g.dir, "heap.pprof"), profile, 0o600); err != nil { // of the last: it says where the memory is
		return m, err
	}
	page, err := g.ask(http.MethodGet, "/debug/pprof/heap?gc=1&debug=1", nil) // collects what the first has finalized
	if err != nil {
		return m, err
	}
	number := func(name string) float64 {
		_, after, _ := bytes.Cut(page, []byte("\n# "+name+" = "))
		var n float64
		if _, scanErr := fmt.Sscan(string(after[:min(len(after), 20)]), &n); scanErr != nil && err == nil {
			err = fmt.Errorf("the heap's profile does not say %s: %w", name, scanErr)
		}
		return n
	}
	m = memory{used: number("HeapAlloc"), held: number("HeapInuse") + number("Stack")}
	all, askErr := g.metrics()
	m.goroutines = all["go_goroutines"]
	return m, errors.Join(err, askErr)
}
