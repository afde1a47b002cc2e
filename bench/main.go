// Command bench measures the gateway beside what else could stand in its place, in one run and in turn, so that what the machine does meanwhile meets all alike:
//
//	direct     the backend alone
//	proxy      caddy-l4's own proxy, which copies bytes
//	haproxy    HAProxy in TCP mode, where it is installed
//	session    this gateway, each client with a link to itself
//	request    this gateway, all clients over two links
//
// Each has a process of its own in front of one backend, `caddy gopr echo`; the load is `caddy gopr bench`, which compares every answer with its request. It prints medians over the
// rounds: frames a second and their ratio to proxy, the 50th and 99th percentile of the latency, and the CPU time of the process in the middle for a million frames.
//
//	./xcaddy.sh bench [-rounds 5] [-duration 2s] [-only 50x32x64] [-json FILE]
//
// Everything is on loopback, bounded, and ends with it.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// scenario is how many connections keep how many requests of how many bytes on their way.
type scenario struct{ conns, inflight, payload int }

func (s scenario) String() string { return fmt.Sprintf("%dx%dx%d", s.conns, s.inflight, s.payload) }

var scenarios = []scenario{{1, 1, 64}, {50, 1, 64}, {50, 32, 64}, {1000, 1, 64}, {1000, 32, 64}, {50, 8, 4096}, {8, 4, 60000}}

// sample is what one run of the load found.
type sample struct {
	FramesPerS float64 `json:"frames_per_s"`
	P50        float64 `json:"p50_ms"`
	P99        float64 `json:"p99_ms"`
	CPU        float64 `json:"cpu_s_per_million_frames"`
	Errors     int64   `json:"errors"`
}

func main() {
	rounds := flag.Int("rounds", 5, "how often each is measured")
	duration := flag.Duration("duration", 2*time.Second, "of each measurement; at most 1m")
	only := flag.String("only", "", "one scenario, such as 50x32x64 (connections, in flight, bytes)")
	out := flag.String("json", "", "file for all samples")
	caddy := flag.String("caddy", "./caddy", "the binary, from ./xcaddy.sh build")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *caddy, *rounds, min(*duration, time.Minute), *only, *out); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, caddy string, rounds int, duration time.Duration, only, out string) error {
	caddy, err := filepath.Abs(caddy)
	if err != nil {
		return err
	}
	if _, err := os.Stat(caddy); err != nil {
		return fmt.Errorf("%w: build it with ./xcaddy.sh build", err)
	}
	dir, err := os.MkdirTemp("", "gopr-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	peers, err := start(ctx, caddy, dir)
	defer stopAll(peers)
	if err != nil {
		return err
	}
	all := make(map[string]map[string][]sample)
	for _, s := range scenarios {
		if only != "" && s.String() != only {
			continue
		}
		all[s.String()] = make(map[string][]sample)
		for round := range rounds {
			for _, p := range peers {
				m, err := p.measure(ctx, caddy, s, duration)
				if err != nil {
					return fmt.Errorf("%v through %s, round %d: %w", s, p.name, round+1, err)
				}
				all[s.String()][p.name] = append(all[s.String()][p.name], m)
			}
			fmt.Fprintf(os.Stderr, "%v: round %d of %d\n", s, round+1, rounds)
		}
		table(s, peers, all[s.String()])
	}
	if len(all) == 0 {
		return fmt.Errorf("no scenario %q: one of %v", only, scenarios)
	}
	if out == "" {
		return nil
	}
	b, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(out, b, 0o644)
}

// table prints the medians of a scenario.
func table(s scenario, peers []*peer, of map[string][]sample) {
	fmt.Printf("\n%d connections, %d in flight on each, payloads of %d bytes (%d CPUs)\n", s.conns, s.inflight, s.payload, runtime.NumCPU())
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tframes/s\tspread\tto proxy\tp50 ms\tp99 ms\tCPU s/M frames\terrors\t")
	base, _, _ := median(of["proxy"], func(m sample) float64 { return m.FramesPerS })
	for _, p := range peers {
		rate, low, high := median(of[p.name], func(m sample) float64 { return m.FramesPerS })
		p50, _, _ := median(of[p.name], func(m sample) float64 { return m.P50 })
		p99, _, _ := median(of[p.name], func(m sample) float64 { return m.P99 })
		cpu, _, _ := median(of[p.name], func(m sample) float64 { return m.CPU })
		var errors int64
		for _, m := range of[p.name] {
			errors += m.Errors
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.0f-%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t%d\t\n", p.name, rate, low, high, rate/base, p50, p99, cpu, errors)
	}
	w.Flush()
}

func median(of []sample, what func(sample) float64) (mid, low, high float64) {
	var v []float64
	for _, m := range of {
		v = append(v, what(m))
	}
	slices.Sort(v)
	if len(v) == 0 {
		return 0, 0, 0
	}
	return v[len(v)/2], v[0], v[len(v)-1]
}

// peer is a way to the backend.
type peer struct {
	name, addr string
	cmd        *exec.Cmd
}

// measure runs the load through the peer once.
func (p *peer) measure(ctx context.Context, caddy string, s scenario, d time.Duration) (m sample, err error) {
	before := cpuTime(p.cmd.Process.Pid)
	load := exec.CommandContext(ctx, caddy, "gopr", "bench", p.addr, "--json", "--duration", d.String(),
		"--conns", fmt.Sprint(s.conns), "--inflight", fmt.Sprint(s.inflight), "--payload", fmt.Sprint(s.payload))
	b, err := load.Output()
	if err != nil && len(b) == 0 {
		return m, err
	}
	var r struct {
		Answered int64   `json:"answered"`
		Rate     float64 `json:"frames_per_s"`
		Latency  struct {
			P50 float64 `json:"p50"`
			P99 float64 `json:"p99"`
		} `json:"latency_ms"`
		Errors map[string]int64 `json:"errors"`
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return m, err
	}
	m = sample{FramesPerS: r.Rate, P50: r.Latency.P50, P99: r.Latency.P99}
	if r.Answered > 0 {
		m.CPU = (cpuTime(p.cmd.Process.Pid) - before).Seconds() / float64(r.Answered) * 1e6
	}
	for _, n := range r.Errors {
		m.Errors += n
	}
	return m, nil
}

func start(ctx context.Context, caddy, dir string) (peers []*peer, err error) {
	add := func(name string, port int, cmd *exec.Cmd) error {
		cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
		if err := cmd.Start(); err != nil {
			return err
		}
		p := &peer{name: name, addr: fmt.Sprintf("127.0.0.1:%d", port), cmd: cmd}
		peers = append(peers, p)
		return p.wait(ctx)
	}
	backend := freePort()
	if err := add("direct", backend, exec.Command(caddy, "gopr", "echo", "--listen", fmt.Sprintf("127.0.0.1:%d", backend))); err != nil {
		return peers, err
	}
	for _, kind := range []struct{ name, route string }{
		{"proxy", "proxy 127.0.0.1:%d"},
		{"session", "gopr {\nupstream 127.0.0.1:%d\n}"},
		{"request", "gopr {\nupstream 127.0.0.1:%d {\npooling request\nconnections 2 2\nmax_inflight 65536\nmax_waiting 100000\n}\n}"},
	} {
		port := freePort()
		config := fmt.Sprintf("{\nadmin off\nlayer4 {\n127.0.0.1:%d {\nroute {\n%s\n}\n}\n}\n}\n", port, fmt.Sprintf(kind.route, backend))
		file := filepath.Join(dir, kind.name+".caddyfile")
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			return peers, err
		}
		if err := add(kind.name, port, exec.Command(caddy, "run", "--adapter", "caddyfile", "--config", file)); err != nil {
			return peers, err
		}
	}
	if haproxy, err := exec.LookPath("haproxy"); err == nil {
		port := freePort()
		config := fmt.Sprintf("global\n nbthread 1\n maxconn 4000\ndefaults\n mode tcp\n timeout connect 5s\n timeout client 1m\n timeout server 1m\nlisten l\n bind 127.0.0.1:%d\n server s 127.0.0.1:%d\n", port, backend)
		file := filepath.Join(dir, "haproxy.cfg")
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			return peers, err
		}
		if err := add("haproxy", port, exec.Command(haproxy, "-db", "-f", file)); err != nil {
			return peers, err
		}
	} else {
		fmt.Fprintln(os.Stderr, "haproxy is not installed, and is left out")
	}
	return peers, nil
}

// wait returns when the peer takes connections.
func (p *peer) wait(ctx context.Context) error {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		if nc, err := net.Dial("tcp", p.addr); err == nil {
			return nc.Close()
		}
	}
	return fmt.Errorf("%s does not listen on %s", p.name, p.addr)
}

func stopAll(peers []*peer) {
	for _, p := range peers {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		done := time.AfterFunc(5*time.Second, func() { _ = p.cmd.Process.Kill() })
		_ = p.cmd.Wait()
		done.Stop()
	}
}

func freePort() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err) // a machine without a free port measures nothing
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// cpuTime is the CPU time that a process has used so far; 0 where /proc does not tell.
func cpuTime(pid int) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), ") ") // behind the name, which may have spaces
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	var user, system int64
	_, _ = fmt.Sscan(fields[11], &user)
	_, _ = fmt.Sscan(fields[12], &system)
	return time.Duration(user+system) * (time.Second / 100) // USER_HZ
}
