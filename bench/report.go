package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// report is what a run found, as the JSON has it.
type report struct {
	Machine  string    `json:"machine"`
	Rounds   int       `json:"rounds"`
	Duration string    `json:"duration"`
	Suites   []*result `json:"suites"`
}

// result is what a suite found.
type result struct {
	Suite     string    `json:"suite"`
	Base      string    `json:"base"` // the peer that ratios are to
	Scenarios []*series `json:"scenarios"`
}

// series is the samples of a scenario.
type series struct {
	scenario
	Scenario string              `json:"scenario"`
	Peers    []string            `json:"peers"`
	Samples  map[string][]sample `json:"samples"`                      // by peer
	Syscalls map[string]float64  `json:"syscalls_per_frame,omitempty"` // by peer
}

func newSeries(s scenario) *series {
	return &series{scenario: s, Scenario: s.String(), Samples: make(map[string][]sample)}
}

// What a column shows of a sample.
var (
	rate       = func(m sample) float64 { return m.FramesPerS }
	p50        = func(m sample) float64 { return m.P50 }
	p99        = func(m sample) float64 { return m.P99 }
	p999       = func(m sample) float64 { return m.P999 }
	cpu        = func(m sample) float64 { return m.CPU }
	others     = func(m sample) float64 { return m.Others }
	residentOf = func(m sample) float64 { return m.Resident }
)

// of returns the median over a peer's samples, and the lowest and the highest; 0 where there are none.
func (s *series) of(peer string, what func(sample) float64) (mid, low, high float64) {
	var v []float64
	for _, m := range s.Samples[peer] {
		v = append(v, what(m))
	}
	if len(v) == 0 {
		return 0, 0, 0
	}
	slices.Sort(v)
	return v[len(v)/2], v[0], v[len(v)-1]
}

// ratio is the peer's median to the base's; "" where there is no base.
func (s *series) ratio(peer, base string, what func(sample) float64) string {
	mine, _, _ := s.of(peer, what)
	theirs, _, _ := s.of(base, what)
	if theirs == 0 || mine == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", mine/theirs)
}

// table prints the medians of a scenario.
func (r *result) table(to io.Writer, s *series) {
	fmt.Fprintf(to, "\n%s: %s\n", r.Suite, s.title())
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer w.Flush()
	if s.inflight == 0 {
		fmt.Fprintf(w, "\tbytes each\tto %s\t\n", r.Base)
		for _, p := range s.Peers {
			each, _, _ := s.of(p, residentOf)
			fmt.Fprintf(w, "%s\t%.0f\t%s\t\n", p, each, s.ratio(p, r.Base, residentOf))
		}
		return
	}
	head := fmt.Sprintf("\tframes/s\tlowest-highest\tto %s\tp50 ms\tp99 ms\tp99.9 ms\tCPU s/M frames\tto %[1]s\terrors\tothers\t", r.Base)
	if s.Syscalls != nil {
		head += "syscalls/frame\t"
	}
	fmt.Fprintln(w, head)
	for _, p := range s.Peers {
		mid, low, high := s.of(p, rate)
		m50, _, _ := s.of(p, p50)
		m99, _, _ := s.of(p, p99)
		m999, _, _ := s.of(p, p999)
		c, _, _ := s.of(p, cpu)
		noise, _, _ := s.of(p, others)
		var errors int64
		for _, m := range s.Samples[p] {
			errors += m.Errors
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.0f-%.0f\t%s\t%.3f\t%.3f\t%.3f\t%.2f\t%s\t%d\t%.0f %%\t", p, mid, low, high, s.ratio(p, r.Base, rate), m50, m99, m999, c, s.ratio(p, r.Base, cpu), errors, 100*noise)
		if s.Syscalls != nil {
			fmt.Fprintf(w, "%.2f\t", s.Syscalls[p])
		}
		fmt.Fprintln(w)
	}
}

func (r *report) write(path string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// machine says what all this ran on.
func machine() string {
	all := []string{fmt.Sprintf("%d processors", runtime.NumCPU())}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				all = append(all, strings.TrimSpace(model))
				break
			}
		}
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		release, _, _ := strings.Cut(string(b), "-")
		all = append(all, runtime.GOOS+" "+strings.TrimSpace(release))
	}
	all = append(all, runtime.Version())
	for _, program := range [][]string{{"haproxy", "-v"}, {"nginx", "-v"}} {
		if out, err := exec.Command(program[0], program[1:]...).CombinedOutput(); err == nil {
			line, _, _ := strings.Cut(string(out), "\n")
			all = append(all, line)
		}
	}
	return strings.Join(all, ", ")
}
