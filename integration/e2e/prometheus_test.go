package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// watched has everything that a dashboard shows: both kinds of pooling, a backend that is down, clients that are pinged or have sessions, a handler to be drained.
const watched = `
		${leaving} {
			route {
				gopr leaving {
					respond echo
				}
			}
		}
		${devices} {
			route {
				gopr devices {
					heartbeat {
						probe 1s
					}
					upstream ${backend} ${down} {
						connections 1 8
						heartbeat 1s
						reconnect {
							initial 200ms
							attempts 0
						}
					}
				}
			}
		}
		${asking} {
			route {
				gopr asking {
					upstream ${backend} {
						pooling request
						connections 1 1
						max_inflight 1
						heartbeat 1s
					}
				}
			}
		}
		${keeping} {
			route {
				gopr keeping {
					upstream ${backend}
					sessions
					queue {
						store sqlite ${queue}
					}
				}
			}
		}`

// live does, until stop, what the clients of a fleet do: they come and go, ask, ping and answer pings, and now and then one sends what is no frame.
func live(t *testing.T, c *caddy) (stop func()) {
	t.Helper()
	quit := make(chan struct{})
	var wg sync.WaitGroup
	stop = sync.OnceFunc(func() {
		close(quit)
		wg.Wait()
	})
	t.Cleanup(stop)
	until := func(do func() error) {
		wg.Go(func() {
			for {
				select {
				case <-quit:
					return
				case <-time.After(10 * time.Millisecond):
				}
				if err := do(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	devices, asking := c.addr("devices"), c.addr("asking")
	until(func() error { // comes, asks and goes
		d, err := connect(devices)
		if err != nil {
			return err
		}
		defer d.Close()
		return errors.Join(d.ping("ping"), d.ask("hello"))
	})
	until(func() error { // speaks another protocol
		d, err := connect(devices)
		if err != nil {
			return err
		}
		defer d.Close()
		return errors.Join(d.send([]byte("GET / HTTP/1.1\r\n\r\n")), d.ended())
	})
	for range 3 { // more than the link takes at once, so that they wait
		d := dial(t, asking)
		until(func() error { return d.ask("how much is it?") })
	}
	keeping := c.addr("keeping")
	until(func() error { // has a session, and uses an id twice
		d, err := connect(keeping)
		if err != nil {
			return err
		}
		defer d.Close()
		message, err := wire.AppendExt(nil, wire.CmdApp, &wire.Ext{QoS: 1, ID: 1, Payload: []byte("kept")})
		if err != nil {
			return err
		}
		if err := errors.Join(knock(d, "keeper", "", true), d.send(message)); err != nil {
			return err
		}
		if f, err := d.next(); err != nil || f.Cmd != uint32(wire.CmdPubAck) {
			return fmt.Errorf("0x%02x came for a message, %w", f.Cmd, err)
		}
		return d.send(message)
	})
	quiet := dial(t, devices)
	wg.Go(func() { // is quiet, and answers the gateway's pings, until it is closed
		for {
			f, err := quiet.next()
			if err != nil {
				return
			}
			if f.Cmd == wire.CmdPing {
				if err := quiet.send(pong(f.Payload)); err != nil {
					return
				}
			}
		}
	})
	wg.Go(func() {
		<-quit
		_ = quiet.Close()
	})
	return stop
}

// promProgram is a program of Debian's package prometheus; without it the test is skipped.
func promProgram(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed: it is in Debian's package prometheus", name)
	}
	return path
}

// prometheus is a Prometheus that scrapes a Caddy every second.
type prometheus struct {
	t    *testing.T
	addr string
}

func startPrometheus(t *testing.T, c *caddy, rules string) *prometheus {
	t.Helper()
	program := promProgram(t, "prometheus")
	home := t.TempDir()
	rules, err := filepath.Abs(rules)
	check(t, err)
	conf := fmt.Sprintf("global: {scrape_interval: 1s}\nrule_files: [%q]\nscrape_configs: [{job_name: caddy, static_configs: [{targets: [%q]}]}]\n", rules, c.addr("admin"))
	file := filepath.Join(home, "prometheus.yml")
	check(t, os.WriteFile(file, []byte(conf), 0o600))
	p := &prometheus{t: t, addr: freeAddr(t)}
	out := &log{}
	cmd := exec.Command(program, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(home, "data"), "--web.listen-address="+p.addr, "--log.level=warn")
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = diesWithParent()
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("Prometheus's log ends with:\n%s", out.tail())
		}
	})
	eventually(t, "Prometheus to be ready", func() bool {
		res, err := adminClient.Get("http://" + p.addr + "/-/ready")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return p
}

// api asks its API, and decodes the data of the answer.
func (p *prometheus) api(path string, into any) error {
	res, err := adminClient.Get("http://" + p.addr + "/api/v1/" + path)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	answer := struct {
		Error string `json:"error"`
		Data  any    `json:"data"`
	}{Data: into}
	if err := json.Unmarshal(b, &answer); err != nil {
		return fmt.Errorf("%s: %w", b, err)
	}
	if answer.Error != "" {
		return errors.New(answer.Error)
	}
	return nil
}

// values is how many series a query returns that have a number as their value.
func (p *prometheus) values(query string) (n int, err error) {
	var data struct {
		Result []struct {
			Value [2]any `json:"value"`
		} `json:"result"`
	}
	if err := p.api("query?query="+url.QueryEscape(query), &data); err != nil {
		return 0, err
	}
	for _, r := range data.Result {
		if r.Value[1] != "NaN" {
			n++
		}
	}
	return n, nil
}

const operations = "../../docs/operations/"

// dashboardQueries are the queries of all panels, with what Grafana puts in the place of its variables.
func dashboardQueries(t *testing.T) (all []string) {
	t.Helper()
	b, err := os.ReadFile(operations + "grafana.json")
	check(t, err)
	var dashboard struct {
		Panels []struct {
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	check(t, json.Unmarshal(b, &dashboard))
	fill := strings.NewReplacer("$__rate_interval", "4s", "$job", ".*", "$instance", ".*", "$handler", ".*")
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			q := fill.Replace(target.Expr)
			if strings.Contains(q, "$") {
				t.Errorf("%s: a variable that this test does not know", q)
			}
			all = append(all, q)
		}
	}
	if len(all) == 0 {
		t.Fatal("the dashboard has no query")
	}
	return all
}

// TestDashboard: every query of the dashboard returns data from a real Prometheus that scrapes a real run, and no rule fails on such data.
func TestDashboard(t *testing.T) {
	promProgram(t, "prometheus")
	b := newBackend(t, echoes)
	c := start(t, config(watched), places{"backend": b.addr, "down": "127.0.0.1:1", "queue": filepath.Join(t.TempDir(), "queue.db")})
	p := startPrometheus(t, c, operations+"prometheus-rules.yml")
	stop := live(t, c)
	if status, answer, err := c.admin(http.MethodPost, "/gopr/drain?handler=leaving", ""); err != nil || status/100 != 2 {
		t.Fatalf("POST /gopr/drain: %d %s, %v", status, answer, err)
	}

	open := dashboardQueries(t)
	asked := len(open)
	for deadline := time.Now().Add(patience); len(open) > 0; time.Sleep(250 * time.Millisecond) {
		var without []string
		for _, q := range open {
			n, err := p.values(q)
			if err != nil {
				t.Fatalf("%s: %v", q, err)
			}
			if n == 0 {
				without = append(without, q)
			}
		}
		open = without
		if time.Now().After(deadline) {
			for _, q := range open {
				t.Errorf("no data from %s", q)
			}
			break
		}
	}
	t.Logf("%d queries returned data", asked-len(open))

	var rules struct {
		Groups []struct {
			Rules []struct {
				Name  string `json:"name"`
				Query string `json:"query"`
			} `json:"rules"`
		} `json:"groups"`
	}
	check(t, p.api("rules", &rules))
	if len(rules.Groups) == 0 {
		t.Error("Prometheus has no rules")
	}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if _, err := p.values(r.Query); err != nil {
				t.Errorf("%s: %v", r.Name, err)
			}
		}
	}
	stop()
}

// TestPromtoolCheckMetrics: what a real run exposes has names, units and help as Prometheus asks.
func TestPromtoolCheckMetrics(t *testing.T) {
	promtool := promProgram(t, "promtool")
	b := newBackend(t, echoes)
	c := start(t, config(watched), places{"backend": b.addr, "down": "127.0.0.1:1", "queue": filepath.Join(t.TempDir(), "queue.db")})
	check(t, dial(t, c.addr("devices")).ask("hello"))
	status, body, err := c.admin(http.MethodGet, "/metrics", "")
	if err != nil || status != http.StatusOK {
		t.Fatalf("GET /metrics: %d, %v", status, err)
	}
	var ours strings.Builder
	for line := range strings.Lines(body) {
		if strings.Contains(line, "caddy_gopr_") {
			ours.WriteString(line)
		}
	}
	if ours.Len() == 0 {
		t.Fatalf("there are no metrics of ours in\n%s", body)
	}
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(ours.String())
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}
