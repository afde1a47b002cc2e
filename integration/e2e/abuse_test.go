package e2e

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// abuseGateway is one handler, with good and bad clients on the same port.
const abuseGateway = `{
	admin ${admin}
	persist_config off
	gopr {
		memory %dMiB
	}
	layer4 {
		${main} {
			route {
				gopr main {
%s
				}
			}
		}
	}
}
`

const throughBackend = "upstream ${backend} {\npooling request\n}\n"

// TestAbuse: good clients notice nothing of bad ones, those end for a reason that is counted, and the memory stays under its ceiling.
//
// As a check each abuse is done by 200 bad clients for a second. GOPR_ABUSE_CLIENTS sets another number, and has it last ten: what is printed then is in
// docs/operations/limits.md.
func TestAbuse(t *testing.T) {
	n, deaf, window, ceiling, soon := 200, 50, time.Second, 32, "500ms"
	if s := os.Getenv("GOPR_ABUSE_CLIENTS"); s != "" {
		var err error
		n, err = strconv.Atoi(s)
		check(t, err)
		window, ceiling, soon = 10*time.Second, 512, "3s"
		deaf = min(n, 500) // the kernel holds up to tcp_wmem for each of them, and has other users
	}
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "abuse\tbad clients\tconnects\tp50\tp99\tp99 before\tmemory counted\tresident\treasons\t")
	for _, a := range []struct {
		name, kind string
		n, addrs   int
		block      string
		reasons    []string
		delayed    bool
	}{
		{"send nothing", "silent", n, 200, "limits {\nfirst_frame " + soon + "\n}\n" + throughBackend, []string{"first_frame"}, false},
		{"a byte a second", "drip", n, 200, "frame_timeout " + soon + "\n" + throughBackend, []string{"frame_timeout"}, false},
		{"never read", "deaf", deaf, 200, "write_timeout " + soon + "\nlimits {\npending 256KiB\n}\nrespond echo\n", []string{"write_timeout", "memory"}, false},
		{"never read, links shared", "deaf", deaf, 200, "limits {\npending 64KiB\n}\n" + throughBackend, []string{"slow_consumer"}, false},
		{"reconnect 100 times a second", "reconnect", min(n, 100), 100, "limits {\nflapping 30/1m ban 5m\n}\n" + throughBackend, []string{"banned"}, false},
		{"flood from one address", "flood", n, 1, "limits {\nper_ip 100\nframes 100/s\n}\n" + throughBackend, []string{"per_ip"}, true},
		{"flood, closed for it", "flood", n, 1, "limits {\nper_ip 100\nframes 100/s\nexceed close\n}\n" + throughBackend, []string{"frame_rate"}, false},
	} {
		t.Run(a.name, func(t *testing.T) {
			backend := startRole(t, "backend")
			c := start(t, fmt.Sprintf(abuseGateway, ceiling, a.block), places{"backend": backend.says(t)})
			good := startRole(t, "good", c.addr("main"), "20")
			good.says(t)
			good.tell(t) // what they met in starting does not count
			time.Sleep(window)
			_, _, before := good.measured(t)

			bad := startRole(t, "abuser", a.kind, c.addr("main"), strconv.Itoa(a.n), strconv.Itoa(a.addrs))
			bad.says(t)
			counted, end := int64(0), time.Now().Add(window)
			good.tell(t)
			for time.Now().Before(end) {
				counted = max(counted, int64(c.metrics()["caddy_gopr_memory_bytes"]))
				time.Sleep(100 * time.Millisecond)
			}
			answers, p50, p99 := good.measured(t)
			var reasons []string
			eventually(t, fmt.Sprintf("ends counted for one of %q", a.reasons), func() bool {
				all := c.metrics()
				reasons = nil
				for _, r := range a.reasons {
					if v := all[series("connections_closed_total", "main", "reason", r)]; v > 0 {
						reasons = append(reasons, fmt.Sprintf("%s %.0f", r, v))
					}
				}
				delays := all[series("rate_delays_total", "main")]
				if a.delayed && delays > 0 {
					reasons = append(reasons, fmt.Sprintf("delays %.0f", delays))
				}
				return len(reasons) > 0 && (delays > 0 || !a.delayed)
			})
			if answers == 0 {
				t.Error("no good client was answered")
			}
			if most := int64(ceiling) << 20; counted > most+most/4 {
				t.Errorf("%d MiB are counted, the ceiling is %d MiB", counted>>20, ceiling)
			}
			_, peak, ok := c.memory()
			if most := int64(2*ceiling+150) << 20; ok && peak > most {
				t.Errorf("%d MiB are resident, want twice the ceiling and 150 MiB at the most", peak>>20)
			}
			fmt.Fprintf(w, "%s\t%d\t%d\t%v\t%v\t%v\t%d MiB\t%d MiB\t%s\t\n", a.name, a.n, bad.tell(t)[0],
				p50, p99, before, counted>>20, peak>>20, strings.Join(reasons, ", "))
			good.tell(t) // and they are all still there
			bad.stop(t)
		})
	}
	check(t, w.Flush())
	t.Logf("the good clients' answers, and what became of the bad:\n%s", table.String())
}

// measured is a round of good clients.
func (r *role) measured(t *testing.T) (answers int64, p50, p99 time.Duration) {
	t.Helper()
	n := r.tell(t)
	return n[0], time.Duration(n[1]) * time.Microsecond, time.Duration(n[2]) * time.Microsecond
}

// tell has a role do its round, and say numbers.
func (r *role) tell(t *testing.T) (said []int64) {
	t.Helper()
	_, err := r.in.Write([]byte("\n"))
	check(t, err)
	for _, f := range strings.Fields(r.says(t)) {
		n, err := strconv.ParseInt(f, 10, 64)
		check(t, err)
		said = append(said, n)
	}
	r.says(t) // done
	return said
}
