package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func measured() (*result, *series) {
	s := newSeries(scenario{50, 32, 64})
	s.Peers = []string{"haproxy", "request", "absent"}
	s.Samples["haproxy"] = []sample{{FramesPerS: 100, CPU: 4}, {FramesPerS: 300, CPU: 2}, {FramesPerS: 200, CPU: 3}}
	s.Samples["request"] = []sample{{FramesPerS: 500, CPU: 1.5, P50: 0.25, Errors: 2}}
	return &result{Suite: "relay", Base: "haproxy", Scenarios: []*series{s}}, s
}

func TestMedian(t *testing.T) {
	_, s := measured()
	if mid, low, high := s.of("haproxy", rate); mid != 200 || low != 100 || high != 300 {
		t.Errorf("of 100, 300, 200: median %v, lowest %v, highest %v", mid, low, high)
	}
	for _, tt := range []struct {
		peer string
		what func(sample) float64
		want string
	}{
		{"request", rate, "2.50"},
		{"request", cpu, "0.50"},
		{"haproxy", rate, "1.00"},
		{"absent", rate, ""},
	} {
		if got := s.ratio(tt.peer, "haproxy", tt.what); got != tt.want {
			t.Errorf("the ratio of %s is %q, want %q", tt.peer, got, tt.want)
		}
	}
	if got := s.ratio("request", "absent", rate); got != "" {
		t.Errorf("the ratio to nothing is %q", got)
	}
}

func TestTable(t *testing.T) {
	r, s := measured()
	var b strings.Builder
	r.table(&b, s)
	for _, want := range []string{"50 connections, 32 in flight on each, payloads of 64 bytes", "100-300", "2.50", "0.250"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, b.String())
		}
	}
	s.Syscalls = map[string]float64{"request": 2.04}
	r.table(&b, s)
	if !strings.Contains(b.String(), "2.04") {
		t.Errorf("the table lacks the system calls:\n%s", b.String())
	}
}

func TestSVG(t *testing.T) {
	r, _ := measured()
	idle := newSeries(scenario{9500, 0, 0})
	idle.Peers = []string{"gateway"}
	idle.Samples["gateway"] = []sample{{Resident: 1234567}}
	r.Scenarios = append(r.Scenarios, idle)
	svg := r.svg()
	for _, want := range []string{"2.50 × haproxy", "9500 idle connections", "1,234,567"} {
		if !strings.Contains(svg, want) {
			t.Errorf("the plot lacks %q", want)
		}
	}
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the plot is no XML: %v", err)
		}
	}
}
