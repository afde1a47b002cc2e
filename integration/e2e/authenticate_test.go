package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// knock says HELLO as a client with a credential, and returns an error unless it is answered as it should be.
func knock(d *device, id, credential string, welcome bool) error {
	b, err := wire.AppendHello(nil, &wire.Hello{ClientID: []byte(id), Credential: []byte(credential), Capabilities: wire.CapQoS, Expiry: time.Hour})
	if err != nil {
		return err
	}
	if err := d.send(b); err != nil {
		return err
	}
	f, err := d.next()
	switch {
	case err != nil:
		return err
	case welcome && f.Cmd == uint32(wire.CmdWelcome):
		return nil
	case !welcome && f.Cmd == uint32(wire.CmdError):
		if e, ok := wire.ParseError(&f); !ok || e.Code != wire.ErrorNotAuthorized {
			return fmt.Errorf("%s: %v is no refusal", id, e)
		}
		return d.ended()
	default:
		return fmt.Errorf("%s: command 0x%02x with %q came", id, f.Cmd, f.Payload)
	}
}

// TestAuthenticate: who may say HELLO is a matter of a file that changes, and of a service; both must agree where both are asked.
func TestAuthenticate(t *testing.T) {
	line := func(id, credential string) string {
		h, err := bcrypt.GenerateFromPassword([]byte(credential), bcrypt.MinCost)
		check(t, err)
		return id + ":" + string(h) + "\n"
	}
	file := filepath.Join(t.TempDir(), "devices")
	check(t, os.WriteFile(file, []byte(line("a", "one")), 0o600))
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			ID     string `json:"client_id"`
			Remote string `json:"remote_addr"`
		}
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || asked.Remote == "" {
			t.Errorf("asked %+v, %v", asked, err)
		}
		if asked.ID == "banned" {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	t.Cleanup(service.Close)
	b := newBackend(t, echoes)
	c := start(t, config(`
		${devices} {
			route {
				gopr devices {
					upstream ${backend}
					limits {
						failed_hello off
					}
					sessions {
						authenticate static `+file+`
						authenticate http `+service.URL+`
					}
					queue
				}
			}
		}`), places{"backend": b.addr})
	try := func(id, credential string, welcome bool) error {
		d, err := connect(c.addr("devices"))
		if err != nil {
			return err
		}
		defer func() { _ = d.Close() }()
		return knock(d, id, credential, welcome)
	}
	check(t, try("a", "one", true))
	check(t, try("a", "two", false))
	check(t, try("b", "one", false))
	check(t, os.WriteFile(file, []byte(line("b", "one")+line("banned", "one")), 0o600))
	eventually(t, "the file read again", func() bool { return try("b", "one", true) == nil })
	check(t, errors.Join(try("a", "one", false), try("banned", "one", false)))
}
