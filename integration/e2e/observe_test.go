package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// eventually waits until ok returns true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

// metrics returns all series of Caddy's metrics, by name and labels as they are printed.
func (c *caddy) metrics() map[string]float64 {
	c.t.Helper()
	status, body, err := c.admin(http.MethodGet, "/metrics", "")
	if err != nil || status != http.StatusOK {
		c.t.Fatalf("GET /metrics: %d, %v\n%s", status, err, c.log.tail())
	}
	all := make(map[string]float64)
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			c.t.Fatalf("metrics: %q: %v", line, err)
		}
		all[line[:at]] = v
	}
	return all
}

// series is the name of a series of ours: the handler's name, then further labels and their values. A group's name, where it is not said, is the handler's.
func series(name, handler string, labels ...string) string {
	if len(labels)%2 != 0 {
		panic("a label without its value")
	}
	pairs := append(labels, "handler", handler)
	if strings.HasPrefix(name, "upstream_") && !slices.Contains(labels, "upstream") {
		pairs = append(pairs, "upstream", handler)
	}
	var all []string
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, fmt.Sprintf("%s=%q", pairs[i], pairs[i+1]))
	}
	for i := range all { // few: sorted by insertion
		for j := i; j > 0 && all[j] < all[j-1]; j-- {
			all[j], all[j-1] = all[j-1], all[j]
		}
	}
	return "caddy_gopr_" + name + "{" + strings.Join(all, ",") + "}"
}

// metric returns the value of one series, 0 where there is none yet.
func (c *caddy) metric(name, handler string, labels ...string) float64 {
	c.t.Helper()
	return c.metrics()[series(name, handler, labels...)]
}

// closed waits until so many connections of a handler have ended for the reason.
func (c *caddy) closed(handler, reason string, n int) {
	c.t.Helper()
	name := series("connections_closed_total", handler, "reason", reason)
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		all := c.metrics()
		if all[name] == float64(n) {
			return
		}
		if all[name] > float64(n) || time.Now().After(deadline) {
			for s, v := range all {
				if strings.HasPrefix(s, "caddy_gopr_connections") {
					c.t.Log(s, v)
				}
			}
			c.t.Fatalf("%s is %v, want %d", name, all[name], n)
		}
	}
}

// A log is what a process has written, line by line.
type log struct {
	mu  sync.Mutex
	all bytes.Buffer
}

// Write implements io.Writer.
func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

func (l *log) contains(s string) bool { return strings.Contains(l.String(), s) }

// tail returns the last lines.
func (l *log) tail() string {
	lines := strings.Split(strings.TrimSpace(l.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

// A line is a line of our handlers' log.
type line struct {
	Level      string  `json:"level"`
	TS         float64 `json:"ts"`
	Msg        string  `json:"msg"`
	Handler    string  `json:"handler"`
	Remote     string  `json:"remote"`
	Reason     string  `json:"reason"`
	Error      string  `json:"error"`
	Suppressed int     `json:"suppressed"`
}

// lines returns those with a message, from the whole lines written so far.
func (l *log) lines(t testing.TB, msg string) (found []line) {
	t.Helper()
	for s := range strings.Lines(l.String()) {
		if !strings.HasSuffix(s, "\n") || !strings.Contains(s, msg) {
			continue
		}
		var parsed line
		if err := json.Unmarshal([]byte(s), &parsed); err != nil {
			t.Fatalf("log line %q: %v", s, err)
		}
		if parsed.Msg == msg {
			found = append(found, parsed)
		}
	}
	return found
}

// memory returns the process's resident memory now and at its highest, in bytes. ok is false on systems that do not tell.
func (c *caddy) memory() (now, peak int64, ok bool) {
	c.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return 0, 0, false
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		kib, _, _ := strings.Cut(strings.TrimSpace(value), " ")
		n, err := strconv.ParseInt(kib, 10, 64)
		if err != nil {
			continue
		}
		switch name {
		case "VmRSS":
			now = n << 10
		case "VmHWM":
			peak = n << 10
		}
	}
	return now, peak, peak > 0
}

// collect has the process collect its garbage.
func (c *caddy) collect() {
	c.t.Helper()
	if status, _, err := c.admin(http.MethodGet, "/debug/pprof/heap?gc=1", ""); err != nil || status != http.StatusOK {
		c.t.Fatalf("GET /debug/pprof/heap: %d, %v", status, err)
	}
}

// bounded fails the test if, when it ends, the process has at any moment had more than grow bytes more than now.
func (c *caddy) bounded(grow int64) (check func()) {
	c.t.Helper()
	_, before, ok := c.memory()
	return func() {
		c.t.Helper()
		if _, peak, _ := c.memory(); ok && peak-before > grow {
			c.t.Errorf("Caddy grew by %d MiB, want %d at most", (peak-before)>>20, grow>>20)
		}
	}
}
