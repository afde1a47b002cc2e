package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const adminConfig = `
		${gateway} {
			route {
				gopr devices {
					upstream ${backend}
				}
			}
		}
		${echo} {
			route {
				gopr echoing {
					respond echo
				}
			}
		}
`

// connectionJSON is a connection as the admin API shows it, as far as tests look.
type connectionJSON struct {
	ID         string    `json:"id"`
	Handler    string    `json:"handler"`
	Remote     string    `json:"remote"`
	State      string    `json:"state"`
	TLSSubject string    `json:"tls_subject"`
	LastFrame  time.Time `json:"last_frame"`
	FramesIn   int       `json:"frames_in"`
	FramesOut  int       `json:"frames_out"`
	Unanswered int       `json:"unanswered"`
	Upstreams  []struct {
		Group   string `json:"group"`
		Backend string `json:"backend"`
	} `json:"upstreams"`
	Frames []struct {
		At        time.Time `json:"at"`
		Direction string    `json:"direction"`
		Heartbeat bool      `json:"heartbeat"`
		Cmd       int       `json:"cmd"`
		Flag      int       `json:"flag"`
		Bytes     int       `json:"bytes"`
	} `json:"frames"`
	Reason string `json:"reason"`
}

// askAdmin decodes what the admin API answers.
func askAdmin[T any](c *caddy, method, path string) (v T) {
	c.t.Helper()
	status, body, err := c.admin(method, path, "")
	if err != nil || status != http.StatusOK {
		c.t.Fatalf("%s %s: %d %s, %v", method, path, status, body, err)
	}
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		c.t.Fatalf("%s %s: %v in %.1000s", method, path, err, body)
	}
	return v
}

// connections lists live connections by a query.
func (c *caddy) connections(query string) []connectionJSON {
	c.t.Helper()
	return askAdmin[struct{ Connections []connectionJSON }](c, http.MethodGet, "/gopr/connections?"+query).Connections
}

// TestAdminConnections: an operator sees a connection, finds it by what he knows of it, looks at its last frames, and closes it and no other, with curl and with the
// command line; then he finds why it ended.
func TestAdminConnections(t *testing.T) {
	backend := newBackend(t, echoes)
	c := start(t, config(adminConfig), places{"backend": backend.addr})
	one := dial(t, c.addr("gateway"))
	check(t, one.ask("hello")) // so it is the oldest
	check(t, one.ping("mark"))
	two, echoed := dial(t, c.addr("gateway")), dial(t, c.addr("echo"))
	check(t, two.ask("other"))
	check(t, echoed.ask("echo"))

	all := c.connections("")
	if len(all) != 3 || len(c.connections("handler=devices")) != 2 || len(c.connections("handler=echoing")) != 1 {
		t.Fatalf("%+v, want two of devices, one of echoing", all)
	}
	for _, query := range []string{
		"remote=" + url.QueryEscape(one.LocalAddr().String()), "remote=127.0.0.0/8&handler=devices&limit=1", "upstream=devices&younger_than=1h&limit=1", "state=active&upstream=" + url.QueryEscape(backend.addr) + "&limit=1",
	} {
		got := c.connections(query)
		if len(got) != 1 || got[0].Remote != one.LocalAddr().String() || got[0].FramesIn != 1 || len(got[0].Upstreams) != 1 || got[0].Upstreams[0].Backend != backend.addr {
			t.Errorf("%s: %+v, want the first alone", query, got)
		}
	}
	if got := c.connections("remote=10.0.0.0/8"); len(got) != 0 {
		t.Errorf("%+v from elsewhere", got)
	}

	id := c.connections("remote=" + url.QueryEscape(one.LocalAddr().String()))[0].ID
	detail := askAdmin[connectionJSON](c, http.MethodGet, "/gopr/connections/"+id)
	var frames []string
	for _, f := range detail.Frames {
		frames = append(frames, fmt.Sprintf("%s %#x %#x %d %v", f.Direction, f.Cmd, f.Flag, f.Bytes, f.Heartbeat))
	}
	if got, want := strings.Join(frames, "; "), "in 0x10 0x1 15 false; out 0x10 0x2 15 false; in 0x1 0x1 14 true"; got != want {
		t.Errorf("the flight recorder has %s, want %s", got, want)
	}
	out, errs, code := c.command("gopr", "connections", id, "--address", c.addr("admin"))
	if code != 0 || !strings.Contains(out, "heartbeat") || !strings.Contains(out, "backend "+backend.addr) {
		t.Errorf("caddy gopr connections: %d %s%s", code, out, errs)
	}

	if status, body, _ := c.admin(http.MethodDelete, "/gopr/connections", ""); status != http.StatusBadRequest || !strings.Contains(body, "this would close every connection") {
		t.Errorf("DELETE without a filter: %d %s", status, body)
	}
	if n := askAdmin[struct{ Closed int }](c, http.MethodDelete, "/gopr/connections/"+id).Closed; n != 1 {
		t.Errorf("%d closed, want 1", n)
	}
	check(t, one.ended())
	check(t, two.ask("still here"))
	out, errs, code = c.command("gopr", "kill", "--handler", "devices", "--address", c.addr("admin"))
	if code != 0 || out != "closed 1 connection\n" {
		t.Errorf("caddy gopr kill: %d %s%s", code, out, errs)
	}
	check(t, two.ended())
	check(t, echoed.ask("still here"))
	c.closed("devices", "killed", 2)

	gone := askAdmin[struct{ Closed []connectionJSON }](c, http.MethodGet, "/gopr/closed?reason=killed&handler=devices").Closed
	if len(gone) != 2 || gone[1].ID != id || gone[1].FramesIn != 1 || gone[0].Reason != "killed" {
		t.Errorf("closed: %+v, want both, the first last", gone)
	}
	if status, body, _ := c.admin(http.MethodGet, "/gopr/connections/"+id, ""); status != http.StatusNotFound || !strings.Contains(body, "it has ended") {
		t.Errorf("one that has ended: %d %s", status, body)
	}
	out, errs, code = c.command("gopr", "status", "--address", c.addr("admin"), "--interval", "10ms")
	if code != 0 || !strings.Contains(out, "echoing") || !strings.Contains(out, backend.addr) {
		t.Errorf("caddy gopr status: %d %s%s", code, out, errs)
	}
}

// TestAdminOverReload: connections of a configuration that has gone are listed as before, and can be closed.
func TestAdminOverReload(t *testing.T) {
	backend := newBackend(t, echoes)
	c := start(t, config(adminConfig), places{"backend": backend.addr})
	d := dial(t, c.addr("gateway"))
	check(t, d.ask("before"))
	before := c.connections("handler=devices")
	if err := c.load(strings.Replace(config(adminConfig), "gopr devices {", "gopr devices {\n\t\t\t\t\tidle_timeout 1h", 1)); err != nil {
		t.Fatal(err)
	}
	if err := c.load(strings.Replace(config(adminConfig), "respond echo", "respond nonsense", 1)); err == nil {
		t.Fatal("a wrong configuration is taken")
	}
	check(t, d.ask("after"))
	after := c.connections("handler=devices")
	if len(before) != 1 || len(after) != 1 || before[0].ID != after[0].ID || after[0].FramesIn != 2 {
		t.Errorf("%+v, and after the reloads %+v: want the same connection", before, after)
	}
	if n := askAdmin[struct{ Closed int }](c, http.MethodDelete, "/gopr/connections?all=true").Closed; n != 1 {
		t.Errorf("%d closed, want 1", n)
	}
	check(t, d.ended())
}
