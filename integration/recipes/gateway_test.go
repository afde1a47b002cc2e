package recipes

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// gateway is a Caddy that runs a recipe.
type gateway struct {
	t       *testing.T
	handler string // the name of the recipe's handler, which its metrics have
	addr    string // where clients connect to
	admin   string
	process *program
}

var handlerName = regexp.MustCompile(`gopr (\w+) \{`)

// serve runs the n-th Caddyfile of a page until the test ends, in front of a server. listen and backend are the addresses that the page has.
func serve(t *testing.T, page string, n int, listen, backend string, s *program) *gateway {
	t.Helper()
	g := &gateway{t: t, addr: freeAddr(t), admin: freeAddr(t)}
	file := recipe(t, page, n, map[string]string{listen: g.addr, backend: s.addr})
	if m := handlerName.FindStringSubmatch(file); m != nil {
		g.handler = m[1]
	}
	file = strings.Replace(file, "{\n", fmt.Sprintf("{\n\tadmin %s\n\tpersist_config off\n", g.admin), 1)

	home := t.TempDir()
	path := filepath.Join(home, "Caddyfile")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(caddy(t), "run", "--config", path, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home)
	g.process = launch(t, cmd, g.addr)
	return g
}

// metricsClient keeps no connections, which would outlive their test.
var metricsClient = &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}

// metric returns the sum of the handler's series of a name that have all of the labels, each written as label="value".
func (g *gateway) metric(name string, labels ...string) (sum float64) {
	g.t.Helper()
	res, err := metricsClient.Get("http://" + g.admin + "/metrics")
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	labels = append(labels, fmt.Sprintf("handler=%q", g.handler))
lines:
	for s := bufio.NewScanner(res.Body); s.Scan(); {
		series, value, _ := strings.Cut(s.Text(), " ")
		if !strings.HasPrefix(series, "caddy_gopr_"+name+"{") {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(series, l) {
				continue lines
			}
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			g.t.Fatalf("metrics: %s: %v", s.Text(), err)
		}
		sum += v
	}
	_, _ = io.Copy(io.Discard, res.Body)
	return sum
}

// eventually waits until ok returns true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}
