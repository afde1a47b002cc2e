package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// lifecycle has a handler of each kind. What a reload changes stands in the first one.
const lifecycle = `
		${gateway} {
			route {
				gopr devices {
					max_payload 1000
					upstream ${backend}
				}
			}
		}
		${echo} {
			route {
				gopr echo {
					respond echo
				}
			}
		}
		${tls} {
			route {
				tls
				gopr tls {
					upstream ${backend}
				}
			}
		}
`

// lively starts a Caddy with live connections to each handler.
func lively(t *testing.T) (c *caddy, devices []*device) {
	t.Helper()
	b := newBackend(t, echoes)
	c = start(t, configTLS(lifecycle), places{"backend": b.addr})
	for range 5 {
		devices = append(devices, dial(t, c.addr("gateway")), dial(t, c.addr("echo")), c.dialTLS(c.addr("tls")))
	}
	for _, d := range devices {
		check(t, d.ask("before"))
	}
	return c, devices
}

// TestTerminate: SIGTERM ends Caddy at once and with 0, whatever connections there are, and they are closed.
func TestTerminate(t *testing.T) {
	c, devices := lively(t)
	check(t, devices[0].send(hold([]byte("a request that is never answered"))))
	took, err := c.terminate()
	if err != nil {
		t.Fatalf("it ended with: %v", err)
	}
	t.Logf("it took %v", took)
	for _, d := range devices {
		check(t, d.ended())
	}
}

// TestReload: a reload is noticed by nobody whom its settings allow what he does; a half-sent frame is taken as it was begun.
func TestReload(t *testing.T) {
	c, devices := lively(t)
	stop := bystand(t, c.addr("gateway"))
	half := dial(t, c.addr("gateway"))
	check(t, half.ask("before"))
	frame := request([]byte("begun before the reload"))
	check(t, half.send(frame[:13]))

	for i := range 5 {
		changed := strings.Replace(configTLS(lifecycle), "max_payload 1000", fmt.Sprint("max_payload ", 1001+i), 1)
		if err := c.load(changed); err != nil {
			t.Fatal(err)
		}
		for _, d := range devices {
			check(t, d.ask(fmt.Sprint("after reload ", i)))
		}
		fresh := dial(t, c.addr("gateway"))
		check(t, fresh.ask(strings.Repeat("x", 1001+i)))
		check(t, fresh.send(request(make([]byte, 1002+i))))
		check(t, fresh.ended())
		c.closed("devices", "length", i+1)
	}
	check(t, half.send(frame[13:]))
	check(t, half.expect(answer([]byte("begun before the reload"))))
	stop()
	all := c.metrics()
	if n := all[series("connections_opened_total", "devices")]; n != 5+1+1+5 {
		t.Errorf("%v connections of devices were opened, want the 5 live ones, 2 more and one for each reload", n)
	}
	if n := all[series("connections", "echo")]; n != 5 {
		t.Errorf("%v connections of echo are live, want 5", n)
	}
}

// TestPatch: one option, changed by the admin API's own means, holds for who was connected before.
func TestPatch(t *testing.T) {
	c, devices := lively(t)
	const option = "/config/apps/layer4/servers/srv0/routes/0/handle/0/max_payload"
	req, err := http.NewRequest(http.MethodPatch, "http://"+c.places["admin"]+option, strings.NewReader("500"))
	check(t, err)
	req.Header.Set("Content-Type", "application/json")
	res, err := adminClient.Do(req)
	check(t, err)
	check(t, res.Body.Close())
	if res.StatusCode != http.StatusOK {
		t.Fatalf("PATCH %s: %s", option, res.Status)
	}
	for _, d := range devices {
		check(t, d.ask("after"))
	}
	check(t, devices[0].ask(strings.Repeat("x", 500)))
	check(t, devices[0].send(request(make([]byte, 501))))
	check(t, devices[0].ended())
	c.closed("devices", "length", 1)
	check(t, devices[1].ask(strings.Repeat("x", 501))) // another handler's
}

// TestReloadOfBackends: live connections go to the new backend, with those that are new.
func TestReloadOfBackends(t *testing.T) {
	before, after := newBackend(t, echoes), newBackend(t, echoes)
	c := start(t, config(toBackend), places{"backend": before.addr, "after": after.addr})
	old := dial(t, c.addr("gateway"))
	check(t, old.ask("before"))
	if err := c.load(strings.ReplaceAll(config(toBackend), "${backend}", "${after}")); err != nil {
		t.Fatal(err)
	}
	check(t, old.ask("after"))
	check(t, dial(t, c.addr("gateway")).ask("new"))
	eventually(t, "both are served by the new backend", func() bool {
		return c.metric("upstream_links", "devices", "backend", after.addr, "state", "leased", "upstream", "devices") == 2
	})
	eventually(t, "the old backend is left", func() bool {
		all := c.metrics()
		for name := range all {
			if strings.HasPrefix(name, "caddy_gopr_upstream_links{") && strings.Contains(name, before.addr) && all[name] > 0 {
				return false
			}
		}
		return true
	})
	check(t, old.ask("at last"))
}

// TestRejectedReload: a configuration that is refused changes nothing: live connections, new ones, metrics.
func TestRejectedReload(t *testing.T) {
	c, devices := lively(t)
	stop := bystand(t, c.addr("gateway"))
	before := c.metrics()
	for _, tt := range []struct{ name, from, to, says string }{
		{"an unknown option", "respond echo", "respons echo", "respons"},
		{"a value that is none", "max_payload 1000", "max_payload many", "many"},
		{"two handlers of a name", "gopr echo {", "gopr devices {", "devices"},
		{"a backend without a port", "upstream ${backend}", "upstream 127.0.0.1", "127.0.0.1"},
		{"a port that is taken", "${echo} {", "203.0.113.1:1 {", "bind"}, // an address that no interface has
	} {
		t.Run(tt.name, func(t *testing.T) {
			bad := strings.Replace(configTLS(lifecycle), tt.from, tt.to, 1)
			err := c.load(bad)
			if err == nil {
				t.Fatal("it was accepted")
			}
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("the refusal is %q, want it to name %q", err, tt.says)
			}
			for _, d := range devices {
				check(t, d.ask("after "+tt.name))
			}
			for _, name := range []string{"gateway", "echo"} {
				fresh := dial(t, c.addr(name))
				check(t, fresh.ask("new"))
				check(t, fresh.Close())
			}
			for name, old := range before {
				now, there := c.metrics()[name]
				if strings.HasPrefix(name, "caddy_gopr_") && strings.Contains(name, "_total") && (!there || now < old) {
					t.Errorf("%s was %v, and is %v (%v)", name, old, now, there)
				}
			}
		})
	}
	stop()
}
