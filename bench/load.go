package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// sample is what one measurement found.
type sample struct {
	FramesPerS float64 `json:"frames_per_s,omitempty"`
	P50        float64 `json:"p50_ms,omitempty"`
	P99        float64 `json:"p99_ms,omitempty"`
	P999       float64 `json:"p99_9_ms,omitempty"`
	CPU        float64 `json:"cpu_s_per_million_frames,omitempty"` // of the peer's process
	Errors     int64   `json:"errors,omitempty"`
	Others     float64 `json:"others_share,omitempty"` // of the processors, taken by processes that have nothing to do with it
	Resident   float64 `json:"resident_bytes_per_connection,omitempty"`
}

// maxOthers is the share above which a sample is measured again, so often at the most.
const (
	maxOthers = 0.08
	again     = 2
)

// measure runs the load through the peer; where other processes disturbed it, again.
func (f *fleet) measure(ctx context.Context, o options, s *suite, sc scenario, p *peer) (best sample, err error) {
	for try := range 1 + again {
		m, err := f.load(ctx, o, s, sc, p)
		if err != nil {
			return m, err
		}
		if try == 0 || m.Others < best.Others {
			best = m
		}
		if o.noisy || best.Others <= maxOthers {
			break
		}
	}
	return best, nil
}

// listener is a program's standard error, in which it waits for a line.
type listener struct {
	line  string
	heard func() // called once
	text  bytes.Buffer
}

func (l *listener) Write(b []byte) (int, error) {
	l.text.Write(b)
	if l.heard != nil && strings.Contains(l.text.String(), l.line) {
		l.heard()
		l.heard = nil
	}
	return len(b), nil
}

// load runs the load through the peer once.
func (f *fleet) load(ctx context.Context, o options, s *suite, sc scenario, p *peer) (m sample, err error) {
	args := []string{
		"gopr", "bench", p.addr, "--json", "--cmd", s.cmd, "--duration", o.duration.String(), "--timeout", "20s",
		"--conns", fmt.Sprint(sc.conns), "--inflight", fmt.Sprint(sc.inflight), "--payload", fmt.Sprint(sc.payload),
	}
	if s.secure {
		args = append(args, "--insecure", "--server-name", "localhost")
	}
	load := exec.CommandContext(ctx, o.caddy, args...)
	load.SysProcAttr = dieWithParent()
	said := &listener{line: fmt.Sprintf("connected %d of %[1]d\n", sc.conns)}
	var peerBefore time.Duration // when the connections are made: to make them is another cost than to use them
	said.heard = func() { peerBefore = cpuTime(p.pid()) }
	load.Stderr = said
	childrenBefore, allBefore, began := f.cpuTime(), busy(), time.Now()
	out, err := load.Output()
	took := time.Since(began)
	if err != nil && len(out) == 0 {
		return m, fmt.Errorf("%w: %s", err, said.text.String())
	}
	var r struct {
		Answered int64   `json:"answered"`
		Rate     float64 `json:"frames_per_s"`
		Latency  struct {
			P50  float64 `json:"p50"`
			P99  float64 `json:"p99"`
			P999 float64 `json:"p99_9"`
		} `json:"latency_ms"`
		Errors map[string]int64 `json:"errors"`
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return m, err
	}
	m = sample{FramesPerS: r.Rate, P50: r.Latency.P50, P99: r.Latency.P99, P999: r.Latency.P999}
	if r.Answered > 0 {
		m.CPU = (cpuTime(p.pid()) - peerBefore).Seconds() / float64(r.Answered) * 1e6
	}
	for _, n := range r.Errors {
		m.Errors += n
	}
	others := busy() - allBefore - (f.cpuTime() - childrenBefore)
	m.Others = max(0, others.Seconds()/(took.Seconds()*float64(runtime.NumCPU())))
	return m, nil
}
