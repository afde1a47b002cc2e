package e2e

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
)

// idleWays are the handlers whose idle connections are weighed, and the floor that they stand on. hold is not in a build of users'.
const idleWays = `
		${hold} {
			route {
				hold
			}
		}
		${hold_tls} {
			route {
				tls
				hold
			}
		}
` + idleProduct

const idleProduct = `
		${echo} {
			route {
				gopr echo {
					respond echo
				}
			}
		}
		${echo_tls} {
			route {
				tls
				gopr echo_tls {
					respond echo
				}
			}
		}
		${upstream} {
			route {
				gopr upstream {
					upstream ${backend}
				}
			}
		}
`

// TestIdleMemory weighs idle connections that ping. Each is served by a fresh process, and its clients and backends are processes of their own.
//
// As a check it opens 500 and has generous bounds. GOPR_IDLE_CONNS sets another number, and has the floor weighed, too. What is printed is
// Caddy's resident memory in bytes for each connection, after a garbage collection; the kernel's part is not in it.
func TestIdleMemory(t *testing.T) {
	conns, measure := 500, false
	if s := os.Getenv("GOPR_IDLE_CONNS"); s != "" {
		var err error
		conns, err = strconv.Atoi(s)
		check(t, err)
		measure = true
	}
	rows := []struct {
		name  string
		what  string
		bound int64 // bytes for each connection; 0: the floor, which is not ours
	}{
		{"hold", "floor: a handler that only reads", 0},
		{"echo", "gopr, respond echo", 24 << 10},
		{"upstream", "gopr, upstream, a link for each", 48 << 10},
		{"hold_tls", "floor: a handler that only reads, TLS", 0},
		{"echo_tls", "gopr, respond echo, TLS", 80 << 10},
	}
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "handler\tconnections\tbytes each\t")
	for _, row := range rows {
		if row.bound == 0 && !measure {
			continue
		}
		t.Run(row.name, func(t *testing.T) {
			each, n := weigh(t, row.name, conns, measure)
			if row.bound > 0 && each > row.bound {
				t.Errorf("an idle connection takes %d bytes, want %d at most", each, row.bound)
			}
			fmt.Fprintf(w, "%s\t%d\t%d\t\n", row.what, n, each)
		})
	}
	check(t, w.Flush())
	t.Logf("resident memory of idle connections that have pinged:\n%s", table.String())
}

// weigh opens idle connections to a handler, and returns what each of them adds to the process's memory. Where a link to a backend is needed for each, they are
// as many as one process may have descriptors for.
func weigh(t *testing.T, name string, conns int, measure bool) (each int64, n int) {
	backend := startRole(t, "backend")
	backendAddr := backend.says(t)
	path, layer4 := "", idleProduct
	if measure {
		path, layer4 = ownBinary(t), idleWays
	} else {
		path = binary(t)
	}
	// Writing log lines of the level DEBUG grows each connection's stack.
	quiet := strings.Replace(configTLS(layer4), "level DEBUG", "level INFO", 1)
	c := startBinary(t, path, quiet, places{"backend": backendAddr})
	if _, _, ok := c.memory(); !ok {
		t.Skip("this system does not tell a process's memory")
	}
	if name == "upstream" {
		conns = min(conns, 9900) // 20,000 descriptors are what some systems give a process
	}
	ca, answers := "", ""
	if strings.HasSuffix(name, "_tls") {
		_ = c.dialTLS(c.addr(name)).Close() // when this works there is a certificate
		ca = c.rootFile()
	}
	if strings.HasPrefix(name, "hold") {
		answers = "mute"
	}
	open := func(n int) *role {
		r := startRole(t, "idle", c.addr(name), strconv.Itoa(n), ca, answers)
		r.says(t)
		return r
	}

	// A few connections first, so that what the process grows by once is not counted.
	warm := open(50)
	warm.round(t)
	warm.stop(t)
	c.collect()
	before, _, _ := c.memory()

	clients := open(conns)
	for range 3 { // heartbeats: what they cost beyond the connection is part of it
		clients.round(t)
	}
	c.collect()
	after, _, _ := c.memory()
	clients.round(t) // they are still all there
	clients.stop(t)
	return (after - before) / int64(conns), conns
}
