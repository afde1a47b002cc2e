package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// TestSessionsSeen: an operator sees a session, its connection and its messages while their backend is away, and ends it.
func TestSessionsSeen(t *testing.T) {
	c := start(t, config(`
		${devices} {
			route {
				gopr devices {
					upstream 127.0.0.1:1
					sessions
					queue
				}
			}
		}`), nil)
	d := dial(t, c.addr("devices"))
	check(t, knock(d, "meter-1", "", true))
	message, err := wire.AppendExt(nil, wire.CmdApp, &wire.Ext{QoS: 1, ID: 1, Payload: []byte("42")})
	check(t, err)
	check(t, d.send(message))
	f, err := d.next()
	if err != nil || f.Cmd != uint32(wire.CmdPubAck) {
		t.Fatalf("0x%02x came, %v", f.Cmd, err)
	}

	var seen struct {
		Sessions []struct {
			ID, Client, State string
			Up                struct{ Messages int }
		}
	}
	status, answer, err := c.admin(http.MethodGet, "/gopr/sessions?client=meter-1", "")
	check(t, err)
	check(t, json.Unmarshal([]byte(answer), &seen))
	if status != http.StatusOK || len(seen.Sessions) != 1 || seen.Sessions[0].State != "attached" || seen.Sessions[0].Up.Messages != 1 {
		t.Fatalf("%d %s", status, answer)
	}
	id := seen.Sessions[0].ID
	for _, tt := range []struct{ args, says string }{
		{"connections --client meter-1 --json", `"session":"` + id + `"`},
		{"messages --session " + id, id + "-up-1  devices  queued  1    0x10"},
		{"messages " + id + "-up-1 drop", "drop: " + id},
		{"sessions " + id, "up         0\n"},
		{"sessions " + id + " end", "ended 1 session\n"},
	} {
		args := append(strings.Fields("gopr "+tt.args), "--address", c.addr("admin"))
		if out, errs, code := c.command(args...); code != 0 || !strings.Contains(out, tt.says) {
			t.Errorf("%s: %d %s\n%s\nwant %q", tt.args, code, errs, out, tt.says)
		}
	}
	for err == nil { // GOAWAY may come first
		_, err = d.next()
	}
	if status, answer, _ := c.admin(http.MethodGet, "/gopr/sessions/"+id, ""); status != http.StatusNotFound {
		t.Errorf("afterwards: %d %s", status, answer)
	}
	if n := c.metric("session_hellos_total", "devices", "outcome", "new"); n != 1 {
		t.Errorf("%v new sessions", n)
	}
}
