package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// report is what bench found. Its JSON is what `bench --json` prints.
type report struct {
	Addr     string `json:"addr"`
	TLS      bool   `json:"tls"`
	Conns    int    `json:"conns"`
	Inflight int    `json:"inflight"` // per connection
	Payload  int    `json:"payload"`  // bytes
	Cmd      uint8  `json:"cmd"`
	QoS      uint8  `json:"qos,omitempty"` // of messages; 0: requests were sent

	Duration   float64          `json:"duration_s"`
	Answered   int64            `json:"answered"`     // rightly; of messages: acknowledged
	FramesPerS float64          `json:"frames_per_s"` // each way
	BytesPerS  float64          `json:"bytes_per_s"`  // each way, headers included
	Latency    latencyReport    `json:"latency_ms"`
	Unanswered int64            `json:"unanswered"`         // requests lost with their connections
	Repeated   int64            `json:"repeated,omitempty"` // messages that were sent more than once
	Errors     map[string]int64 `json:"errors"`             // by kind; connections lost, dials failed, wrong answers
}

// latencyReport is in milliseconds.
type latencyReport struct {
	Min  float64 `json:"min"`
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
	Max  float64 `json:"max"`
}

// report is called when run has returned.
func (l *load) report() *report {
	for i := range l.shards {
		if n := l.shards[i].wrong; n > 0 {
			l.errors["wrong answer"] += n
		}
	}
	r := &report{
		Addr: l.args.addr, TLS: l.dialer.tls != nil, Conns: l.args.conns,
		Inflight: l.args.inflight, Payload: l.args.payload, Cmd: l.args.cmd, QoS: l.args.qos,
		Duration: l.elapsed.Seconds(), Answered: l.total.n,
		Unanswered: l.unanswered, Errors: l.errors,
	}
	if r.Duration > 0 {
		r.FramesPerS = float64(l.answered) / r.Duration
		r.BytesPerS = r.FramesPerS * float64(wire.HeaderLen+l.args.payload)
	}
	t, msec := l.total, func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	r.Latency = latencyReport{
		Min: msec(t.shortest()), Mean: msec(t.mean()), Max: msec(t.max),
		P50: msec(t.percentile(50)), P90: msec(t.percentile(90)), P95: msec(t.percentile(95)),
		P99: msec(t.percentile(99)), P999: msec(t.percentile(99.9)),
	}
	return r
}

func (r *report) print(out io.Writer, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	latency := ""
	if t := r.Latency; r.Answered > 0 {
		latency = fmt.Sprintf("latency     min/avg/p50/p90/p95/p99/p99.9/max = %.3f/%.3f/%.3f/%.3f/%.3f/%.3f/%.3f/%.3f ms\n",
			t.Min, t.Mean, t.P50, t.P90, t.P95, t.P99, t.P999, t.Max)
	}
	if r.QoS > 0 {
		_, err := fmt.Fprintf(out, `acknowledged %d messages of QoS %d in %.1f s, %d sent more than once
throughput  %.0f messages/s and %.1f MB/s
%serrors      %s
`, r.Answered, r.QoS, r.Duration, r.Repeated, r.FramesPerS, r.BytesPerS/1e6, latency, r.errors())
		return err
	}
	_, err := fmt.Fprintf(out, `answered    %d requests in %.1f s, each compared with its request
throughput  %.0f frames/s and %.1f MB/s each way
%serrors      %s
`, r.Answered, r.Duration, r.FramesPerS, r.BytesPerS/1e6, latency, r.errors())
	return err
}

// errors lists the errors by kind.
func (r *report) errors() string {
	if len(r.Errors) == 0 {
		return "none"
	}
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(r.Errors)) {
		kinds = append(kinds, fmt.Sprintf("%d %s", r.Errors[kind], kind))
	}
	s := strings.Join(kinds, ", ")
	if r.Unanswered > 0 {
		s += fmt.Sprintf("; %s unanswered", plural(r.Unanswered, "request"))
	}
	return s
}

// progress tells of a run once a second.
type progress struct {
	out  io.Writer
	load *load
	last time.Duration // when loading told last
}

// during calls tell once a second while f runs.
func (p *progress) during(tell, f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case <-done:
			return
		case <-second.C:
			tell()
		}
	}
}

// connecting tells how many connections there are.
func (p *progress) connecting() {
	fmt.Fprintf(p.out, "connected %d of %d\n", p.load.ready.Load(), p.load.args.conns)
}

// loading tells of the second that is over.
func (p *progress) loading(l *load) {
	now, t := l.now(), l.second
	rate := float64(t.n) / (now - p.last).Seconds()
	p.last = now
	what := "frames"
	if l.args.qos > 0 {
		what = "messages"
	}
	fmt.Fprintf(p.out, "%4.0f s  %8.0f %s/s  p50 %s ms  p99 %s ms  max %s ms  errors %d\n",
		now.Seconds(), rate, what, ms(t.percentile(50)), ms(t.percentile(99)), ms(t.max), l.failures())
}

// failures is how many errors there were so far.
func (l *load) failures() (n int64) {
	l.mu.Lock()
	for _, k := range l.errors {
		n += k
	}
	l.mu.Unlock()
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		n += s.wrong
		s.mu.Unlock()
	}
	return n
}
