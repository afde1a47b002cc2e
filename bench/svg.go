package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A plot has a group of bars for each scenario, and in it a bar for each peer.
const (
	barHeight = 14
	barGap    = 3
	groupGap  = 26
	barLeft   = 110
	barRight  = 470
	plotWidth = 640
)

// plot writes bench-SUITE.svg for each suite: frames a second, or bytes for each idle connection.
func (r *report) plot(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, s := range r.Suites {
		if len(s.Scenarios) == 0 {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, "bench-"+s.Suite+".svg"), []byte(s.svg()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// svg draws the medians. Bars are to the longest of their own scenario: scenarios differ too much to share a scale.
func (r *result) svg() string {
	var b strings.Builder
	y := 10
	for _, s := range r.Scenarios {
		y += groupGap
		what, unit := rate, "frames/s"
		if s.inflight == 0 {
			what, unit = residentOf, "bytes each"
		}
		fmt.Fprintf(&b, "<text x='4' y='%d' class='t'>%s (%s)</text>\n", y-8, s.title(), unit)
		longest := 0.0
		for _, p := range s.Peers {
			mid, _, _ := s.of(p, what)
			longest = max(longest, mid)
		}
		for _, p := range s.Peers {
			mid, _, _ := s.of(p, what)
			class := "o"
			if p == "session" || p == "request" || p == "gateway" {
				class = "g"
			}
			width := 0.0
			if longest > 0 {
				width = mid / longest * (barRight - barLeft)
			}
			label := grouped(mid)
			if ratio := s.ratio(p, r.Base, what); ratio != "" {
				label += " (" + ratio + " × " + r.Base + ")"
			}
			fmt.Fprintf(&b, "<text x='%d' y='%d' text-anchor='end'>%s</text><rect x='%d' y='%d' width='%.1f' height='%d' class='%s'/><text x='%.1f' y='%d'>%s</text>\n",
				barLeft-6, y+barHeight-3, p, barLeft, y, width, barHeight, class, barLeft+width+5, y+barHeight-3, label)
			y += barHeight + barGap
		}
	}
	return fmt.Sprintf(`<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' font-family='sans-serif' font-size='11'>
<style>text{fill:#222}.t{font-weight:bold;font-size:12px}.o{fill:#9aa5b1}.g{fill:#2a7de1}@media(prefers-color-scheme:dark){text{fill:#ddd}}</style>
%s</svg>
`, plotWidth, y+10, b.String())
}

// grouped writes a number with its thousands apart.
func grouped(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
