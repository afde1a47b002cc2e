package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const adminLoadConfig = `
		${left} {
			route {
				gopr left {
					respond echo
					idle_timeout 1h
				}
			}
		}
		${right} {
			route {
				gopr right {
					respond echo
					idle_timeout 1h
				}
			}
		}
`

// TestAdminUnderLoad: Caddy carries thousands of connections, clients of which ask all the while; an operator lists all connections over and over, another does not read
// his list, and at last one half is closed.
//
// As a check it has 2,000 connections, and looks at what happens. GOPR_ADMIN_CONNS=19500 has that many, takes a minute, and fails where listing makes the traffic's p99
// twice as long; the kernel may give a process as many descriptors as that.
func TestAdminUnderLoad(t *testing.T) {
	conns, windows, window := 2000, 3, 250*time.Millisecond
	measure := os.Getenv("GOPR_ADMIN_CONNS") != ""
	if measure {
		var err error
		conns, err = strconv.Atoi(os.Getenv("GOPR_ADMIN_CONNS"))
		check(t, err)
		windows = 80
	}
	c := start(t, strings.Replace(config(adminLoadConfig), "level DEBUG", "level INFO", 1), nil)
	half := strconv.Itoa(conns / 2)
	left, right := startRole(t, "idle", c.addr("left"), half, "", ""), startRole(t, "idle", c.addr("right"), half, "", "")
	left.says(t)
	right.says(t)
	left.round(t)
	right.round(t)
	traffic := startTraffic(t, c.addr("right"), 16)
	within := c.bounded(128<<20 + int64(conns)<<14) // the collector lets a heap double, and that of the connections is large

	// Windows with and without listing take turns, so that what else the machine does is in both; and of each kind the median window counts.
	operator := startRole(t, "lister", c.addr("admin"))
	operator.says(t)
	var quiet, listing series99
	pages, took := 0, time.Duration(0)
	traffic.during(window, func(<-chan struct{}) {}) // warm
	for range windows {
		quiet.add(traffic.during(window, func(<-chan struct{}) {}))
		listing.add(traffic.during(window, func(over <-chan struct{}) {
			for {
				began := time.Now()
				operator.round(t)
				pages, took = pages+1, took+time.Since(began)
				select {
				case <-over:
					return
				default:
				}
			}
		}))
	}
	ratio := float64(listing.p99()) / float64(quiet.p99())
	t.Logf("%d connections, %d pages of 1000 listed, %v each: p50 %v without and %v with it, p99 %v and %v: %.2f times", conns, pages, (took / time.Duration(pages)).Round(time.Millisecond),
		quiet.p50(), listing.p50(), quiet.p99(), listing.p99(), ratio)
	if measure && ratio >= 2 {
		t.Errorf("listing makes the p99 %.2f times as long, want less than 2", ratio)
	}
	if n := c.listAll(); n != conns/2*2+16 {
		t.Errorf("%d connections listed, want %d", n, conns/2*2+16)
	}

	// An admin client that does not read: he holds up nobody.
	stalled := time.Now()
	for range 20 {
		c.stall("/gopr/connections?limit=10000")
	}
	check(t, traffic.err())
	if n := c.listAll(); n != conns/2*2+16 {
		t.Errorf("%d connections listed while others do not read their lists, want %d", n, conns/2*2+16)
	}

	began := time.Now()
	if n := askAdmin[struct{ Closed int }](c, http.MethodDelete, "/gopr/connections?handler=left").Closed; n != conns/2 {
		t.Errorf("%d closed, want %d", n, conns/2)
	}
	told := time.Since(began)
	c.closed("left", "killed", conns/2)
	t.Logf("%d connections closed: told after %v, gone after %v", conns/2, told.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	right.round(t) // all of them are still there
	check(t, traffic.err())
	if measure { // and is given up after 30 s
		if n := c.running("gateway.getConnections("); n == 0 {
			t.Error("no list is held up: it is not long enough for this test")
		}
		time.Sleep(time.Until(stalled.Add(31 * time.Second)))
		eventually(t, "an admin client that does not read is given up", func() bool { return c.running("gateway.getConnections(") == 0 })
		t.Logf("admin clients that do not read were given up within %v", time.Since(stalled).Round(time.Second))
	}
	traffic.stop()
	within()
}

// listAll lists all connections, and returns how many different ones there were.
func (c *caddy) listAll() int {
	ids := make(map[string]bool)
	for cursor := ""; ; {
		status, body, err := c.admin(http.MethodGet, "/gopr/connections?limit=1000"+cursor, "")
		if err != nil || status != http.StatusOK {
			c.t.Errorf("%d %v", status, err)
			return 0
		}
		for rest := body; ; {
			_, after, found := strings.Cut(rest, `{"id":"`)
			if !found {
				break
			}
			id, after, _ := strings.Cut(after, `"`)
			ids[id] = true
			rest = after
		}
		_, next, more := strings.Cut(body, `"next":"`)
		if !more {
			return len(ids)
		}
		next, _, _ = strings.Cut(next, `"`)
		cursor = "&cursor=" + next
	}
}

// stall asks for something, several times, so that it is more than fits into the kernel's buffers, and reads no more of it than a few bytes, until the test ends.
func (c *caddy) stall(path string) {
	c.t.Helper()
	nc, err := net.Dial("tcp", c.addr("admin"))
	check(c.t, err)
	c.t.Cleanup(func() { _ = nc.Close() })
	check(c.t, nc.(*net.TCPConn).SetReadBuffer(4<<10))
	_, err = io.WriteString(nc, strings.Repeat(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, c.addr("admin")), 8))
	check(c.t, err)
	line, err := bufio.NewReaderSize(nc, 16).ReadSlice(' ')
	if err != nil || string(line) != "HTTP/1.1 " {
		c.t.Errorf("%s: %q, %v", path, line, err)
	}
}

// running counts a function on the stacks of Caddy's goroutines.
func (c *caddy) running(function string) int {
	c.t.Helper()
	status, stacks, err := c.admin(http.MethodGet, "/debug/pprof/goroutine?debug=2", "")
	if err != nil || status != http.StatusOK {
		c.t.Fatalf("GET /debug/pprof/goroutine: %d, %v", status, err)
	}
	return strings.Count(stacks, function)
}

// traffic is devices that each ask, and ask again some milliseconds after the answer.
type traffic struct {
	quit chan struct{}
	all  sync.WaitGroup

	mu    sync.Mutex
	times []time.Duration // since the last look
	fault error
}

func startTraffic(t *testing.T, addr string, devices int) *traffic {
	t.Helper()
	f := &traffic{quit: make(chan struct{})}
	for range devices {
		d := dial(t, addr)
		check(t, d.ask("before all"))
		f.all.Go(func() {
			pause := time.NewTicker(4 * time.Millisecond)
			defer pause.Stop()
			for {
				select {
				case <-f.quit:
					return
				case <-pause.C:
				}
				began := time.Now()
				err := d.ask("a request of some length, as they are")
				f.mu.Lock()
				f.times = append(f.times, time.Since(began))
				if f.fault == nil {
					f.fault = err
				}
				f.mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	t.Cleanup(f.stop)
	return f
}

// during returns how long the answers took that came in so long a time, in which something is done.
func (f *traffic) during(d time.Duration, do func(over <-chan struct{})) []time.Duration {
	f.take()
	over := make(chan struct{})
	timer := time.AfterFunc(d, func() { close(over) })
	defer timer.Stop()
	do(over)
	<-over
	return f.take()
}

func (f *traffic) take() []time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.times
	f.times = nil
	return all
}

func (f *traffic) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fault
}

func (f *traffic) stop() {
	select {
	case <-f.quit:
	default:
		close(f.quit)
	}
	f.all.Wait()
}

// playLister is an operator with a process of his own: each round lists the next thousand connections of the admin endpoint at args[0], and then begins anew.
func playLister(args []string) error {
	yields()
	cursor := ""
	return rounds(func() error {
		res, err := adminClient.Get("http://" + args[0] + "/gopr/connections?limit=1000" + cursor)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		cursor = ""
		if _, next, more := strings.Cut(string(body[max(0, len(body)-100):]), `"next":"`); more {
			next, _, _ = strings.Cut(next, `"`)
			cursor = "&cursor=" + next
		}
		return err
	})
}

// series99 are the percentiles of windows.
type series99 struct{ p50s, p99s []time.Duration }

func (s *series99) add(times []time.Duration) {
	if len(times) == 0 {
		return
	}
	slices.Sort(times)
	s.p50s, s.p99s = append(s.p50s, times[len(times)/2]), append(s.p99s, times[len(times)*99/100])
}

func (s *series99) p50() time.Duration { return median(s.p50s) }
func (s *series99) p99() time.Duration { return median(s.p99s) }

func median(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[len(times)/2]
}
