package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// A gateway is a Caddy process with this module.
type gateway struct {
	*process
	admin  string
	routes []route
}

// A route is one handler: what stands between a port and its backends.
type route struct {
	Name         string
	Addr         string // to listen on
	Backends     []string
	Extended     bool
	Store        string // of sessions and messages, as in the Caddyfile
	Options      string // further options of the handler, one a line
	QueueOptions string
	Version      int // counts reloads: each is to change something
}

var caddyfile = template.Must(template.New("Caddyfile").Parse(`{
	admin {{.Admin}}
	persist_config off
	log gopr {
		include gopr
		level DEBUG
	}
	gopr {
		grace 0
		drain 0
	}
	layer4 {
{{- range .Routes}}
		gopr/{{.Addr}} {
			route {
				gopr {{.Name}} {
					max_payload {{if .Version}}{{.Version}}{{else}}65535{{end}}
					upstream{{range .Backends}} {{.}}{{end}} {
						dial_timeout 1s
						heartbeat 1s 2s
						reconnect {
							initial 100ms
							max 1s
							attempts 1000000
						}
						{{- if .Extended}}
						extended
						{{- end}}
					}
					{{- if .Store}}
					sessions {
						store {{.Store}}
						expiry 1h
						park 5s
						heartbeat 2s
					}
					queue {
						store {{.Store}}
						{{.QueueOptions}}
					}
					{{- end}}
					{{.Options}}
				}
			}
		}
{{- end}}
	}
}
`))

// newGateway makes a gateway, and starts it.
func newGateway(binary, dir, name string, routes ...route) (*gateway, error) {
	admin, err := freeAddr()
	if err != nil {
		return nil, err
	}
	home := filepath.Join(dir, name)
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, err
	}
	g := &gateway{
		process: &process{name: name, dir: home, argv: []string{binary, "run", "--config", "Caddyfile", "--adapter", "caddyfile"}},
		admin:   admin, routes: routes,
	}
	if err := os.WriteFile(filepath.Join(home, "Caddyfile"), g.config(), 0o600); err != nil {
		return nil, err
	}
	return g, g.restart()
}

func (g *gateway) config() []byte {
	var b bytes.Buffer
	if err := caddyfile.Execute(&b, struct {
		Admin  string
		Routes []route
	}{g.admin, g.routes}); err != nil {
		panic(err) // the template and its data are this file's own
	}
	return b.Bytes()
}

// restart starts it, and returns when it serves.
func (g *gateway) restart() error {
	if err := g.start(); err != nil {
		return err
	}
	for _, r := range g.routes {
		if err := g.await(r.Addr); err != nil {
			return err
		}
	}
	return nil
}

// reload gives it another configuration, which differs in a number.
func (g *gateway) reload(version int) error {
	for i := range g.routes {
		g.routes[i].Version = 60000 + version%5000
	}
	_, err := g.ask(http.MethodPost, "/load", g.config())
	return err
}

var adminClient = &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}

// ask asks the admin API.
func (g *gateway) ask(method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequest(method, "http://"+g.admin+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "text/caddyfile")
	}
	res, err := adminClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %.200s", method, path, res.Status, b)
	}
	return b, err
}

// killConnections ends connections by the admin API, up to n of them.
func (g *gateway) killConnections(n int) (killed int, err error) {
	b, err := g.ask(http.MethodGet, "/gopr/connections?limit="+strconv.Itoa(n), nil)
	if err != nil {
		return 0, err
	}
	var list struct {
		Connections []struct {
			ID json.RawMessage `json:"id"`
		} `json:"connections"`
	}
	if err := json.Unmarshal(b, &list); err != nil {
		return 0, err
	}
	for _, c := range list.Connections {
		if _, err := g.ask(http.MethodDelete, "/gopr/connections/"+strings.Trim(string(c.ID), `"`), nil); err == nil {
			killed++
		}
	}
	return killed, nil
}

// metrics returns all series, by name and labels as they are printed.
func (g *gateway) metrics() (map[string]float64, error) {
	b, err := g.ask(http.MethodGet, "/metrics", nil)
	if err != nil {
		return nil, err
	}
	all := make(map[string]float64)
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || line[0] == '#' {
			continue
		}
		if v, err := strconv.ParseFloat(line[at+1:], 64); err == nil {
			all[line[:at]] = v
		}
	}
	return all, nil
}

// sum adds up a metric over all its labels.
func sum(all map[string]float64, name string) (total float64) {
	for series, v := range all {
		if series == name || strings.HasPrefix(series, name+"{") {
			total += v
		}
	}
	return total
}

// resident is the process's memory, in bytes.
func (p *process) resident() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.pid()))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// waitFor waits until ok, and returns an error if that does not come.
func waitFor(what string, within time.Duration, ok func() bool) error {
	for deadline := time.Now().Add(within); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not within %v", what, within)
		}
	}
	return nil
}
