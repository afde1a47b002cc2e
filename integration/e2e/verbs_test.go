package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"
)

const verbsConfig = `
		${gateway} {
			route {
				gopr devices {
					upstream ${a} ${b} ${c} {
						pooling ${pooling}
						connections 2
						wait 30s
					}
				}
			}
		}
`

// upstreamJSON is a group as the admin API shows it, as far as tests look.
type upstreamJSON struct {
	Admin    string `json:"admin"`
	Waiting  int    `json:"waiting"`
	Backends []struct {
		Backend  string    `json:"backend"`
		Admin    string    `json:"admin"`
		State    string    `json:"state"`
		Breaker  string    `json:"breaker"`
		Links    int       `json:"links"`
		Renewing int       `json:"renewing"`
		InFlight int       `json:"in_flight"`
		Failures int       `json:"failures"`
		NextDial time.Time `json:"next_dial"`
		Error    string    `json:"error"`
		Dials    int       `json:"dials"`
		Lost     int       `json:"lost"`
	} `json:"backends"`
}

// upstream asks the admin API for the group of a name; a verb is carried out first. "" is the whole group.
func (c *caddy) upstream(name, verb, backend string) upstreamJSON {
	c.t.Helper()
	method, path := http.MethodGet, "/gopr/upstreams/"+name
	if verb != "" {
		method, path = http.MethodPost, path+"/"+verb
	}
	if backend != "" {
		path += "?backend=" + url.QueryEscape(backend)
	}
	status, body, err := c.admin(method, path, "")
	if err != nil || status != http.StatusOK {
		c.t.Fatalf("%s %s: %d %s, %v", method, path, status, body, err)
	}
	var all struct {
		Upstreams []upstreamJSON `json:"upstreams"`
	}
	if err := json.Unmarshal([]byte(body), &all); err != nil || len(all.Upstreams) != 1 {
		c.t.Fatalf("%s %s: %v in %s", method, path, err, body)
	}
	return all.Upstreams[0]
}

// TestVerbsUnderLoad: whatever an operator has a group and its backends do, no client that asks all the while loses a request or its connection.
func TestVerbsUnderLoad(t *testing.T) {
	for _, pooling := range []string{"session", "request"} {
		t.Run(pooling, func(t *testing.T) {
			backends := places{"pooling": pooling}
			for _, name := range []string{"a", "b", "c"} {
				backends[name] = newBackend(t, echoes).addr
			}
			c := start(t, config(verbsConfig), backends)
			b := backends["b"]

			const clients = 30
			quit := make(chan struct{})
			var all sync.WaitGroup
			asked, failed := make([]int, clients), make([]error, clients)
			for i := range clients {
				d := dial(t, c.addr("gateway"))
				all.Go(func() {
					for ; failed[i] == nil; asked[i]++ {
						select {
						case <-quit:
							return
						case <-time.After(time.Millisecond):
						}
						failed[i] = d.ask(fmt.Sprintf("client %d, request %d", i, asked[i]))
					}
				})
			}
			stopped := false
			stop := func() {
				if !stopped {
					stopped = true
					close(quit)
					all.Wait()
				}
			}
			defer stop()

			group := func(verb, backend string) upstreamJSON {
				t.Helper()
				return c.upstream("devices", verb, backend)
			}
			of := func(u upstreamJSON, backend string) (at int) {
				t.Helper()
				for i := range u.Backends {
					if u.Backends[i].Backend == backend {
						return i
					}
				}
				t.Fatalf("no backend %s in %+v", backend, u)
				return 0
			}
			until := func(what string, ok func(u upstreamJSON) bool) {
				t.Helper()
				eventually(t, what, func() bool { return ok(group("", "")) })
			}
			works := func() { // an answer is on its way for everyone
				t.Helper()
				before := c.metric("frames_total", "devices", "direction", "out")
				eventually(t, "the load goes on", func() bool {
					return c.metric("frames_total", "devices", "direction", "out") >= before+2*clients
				})
			}
			works()

			group("pause", "")
			until("all is answered", func(u upstreamJSON) bool {
				n := 0
				for _, b := range u.Backends {
					n += b.InFlight
				}
				return n == 0
			})
			paused := -1.0
			eventually(t, "the last answers are out", func() bool { // which are none in flight any more a moment before
				before := paused
				paused = c.metric("frames_total", "devices", "direction", "out")
				return paused == before
			})
			time.Sleep(100 * time.Millisecond) // in which nothing may happen
			if now := c.metric("frames_total", "devices", "direction", "out"); now != paused {
				t.Errorf("%v answers in a pause", now-paused)
			}
			group("resume", "")
			works()

			group("drain", "")
			until("no link is left", func(u upstreamJSON) bool {
				return u.Backends[0].Links+u.Backends[1].Links+u.Backends[2].Links == 0
			})
			group("resume", "")
			works()

			for _, verbs := range [][2]string{{"pause", "resume"}, {"drain", "resume"}, {"disable", "enable"}} {
				group(verbs[0], b)
				if verbs[0] != "pause" {
					until("the backend is left", func(u upstreamJSON) bool { return u.Backends[of(u, b)].Links == 0 })
					works()
				}
				group(verbs[1], b)
				until("it is used again", func(u upstreamJSON) bool { return u.Backends[of(u, b)].Links > 0 })
				works()
			}

			group("disable", "")
			until("no link is left", func(u upstreamJSON) bool {
				return u.Admin == "disabled" && u.Backends[0].Links+u.Backends[1].Links+u.Backends[2].Links == 0
			})
			group("enable", "")
			works()

			group("reconnect", b)
			group("reconnect", "")
			until("all links are renewed", func(u upstreamJSON) bool {
				return u.Backends[0].Renewing+u.Backends[1].Renewing+u.Backends[2].Renewing == 0
			})
			works()

			stop()
			total := 0
			for i := range clients {
				total += asked[i]
				if failed[i] != nil {
					t.Errorf("client %d, at its request %d: %v", i, asked[i], failed[i])
				}
			}
			u := group("", "")
			for _, b := range u.Backends {
				if b.Lost != 0 || b.Failures != 0 {
					t.Errorf("%+v", b)
				}
			}
			t.Logf("%d clients asked %d times", clients, total)
		})
	}
}
