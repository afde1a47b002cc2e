package health

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write docs/img/health.svg anew")

const plotFile = "../../docs/img/health.svg"

// The plot in the documentation is what the code does. `go test ./upstream/health -update` writes it.
func TestPlot(t *testing.T) {
	got := plot(hour())
	if *update {
		if err := os.WriteFile(plotFile, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(plotFile)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOARCH != "amd64" {
		t.Skip("other processors round the last digit in another way")
	}
	if got != string(want) {
		t.Errorf("%s is not what the code does: run `go test ./upstream/health -update`, look at it, and say in docs/health.md what is new", plotFile)
	}
}

// The plot's places, in pixels.
const (
	left, width       = 60, 720 // 5 s each
	rttTop, rttTall   = 46, 110
	partTop, partTall = 190, 200
	bandTop, bandTall = 408, 18
	maxRTT            = 0.3 // seconds; more is drawn so
)

func plot(reports []Report) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 470" width="900" height="470" role="img" aria-labelledby="title desc">`)
	p(`  <title id="title">A bad hour of a backend, and its health score</title>`)
	p(`  <desc id="desc">Above, the round trip that 95 %% of the pings did not exceed. In the middle, the score, stacked of its three parts. Below, whether the backend is fit, warming or failing. Made by upstream/health/plot_test.go.</desc>`)
	p(`  <style>text { font: 12px system-ui, "DejaVu Sans", sans-serif; fill: #1f2933 } .s { font-size: 11px; fill: #52606d } .l { stroke: #cbd2d9; stroke-width: 1 } .bar { stroke: #ba2525; stroke-dasharray: 4 3; fill: none }</style>`)
	p(`  <rect width="900" height="470" fill="#ffffff"/>`)
	for i, t := range troubles {
		x, w := px(t.from), max(2, px(t.to)-px(t.from))
		p(`  <rect x="%d" y="%d" width="%d" height="%d" fill="#f5f7fa"/>`, x, rttTop-16, w, bandTop+bandTall-rttTop+16)
		p(`  <text class="s" x="%d" y="%d">%s</text>`, x, 14+14*(i%2), t.name)
	}

	y := func(seconds float64) float64 { return rttTop + rttTall - rttTall*min(seconds, maxRTT)/maxRTT }
	for _, ms := range []int{0, 100, 200, 300} {
		p(`  <path class="l" d="M%d %.0fh%d"/><text class="s" x="%d" y="%.0f" text-anchor="end">%d ms</text>`, left, y(float64(ms)/1000), width, left-6, y(float64(ms)/1000)+4, ms)
	}
	p(`  <path class="bar" d="M%d %.0fh%d"/><text class="s" x="%d" y="%.0f">threshold</text>`, left, y(0.1), width, left+width+6, y(0.1)+4)
	p(`  <path fill="none" stroke="#2680c2" stroke-width="1.5" d="%s"/>`, line(reports, func(r Report) float64 { return y(r.P95) }))
	p(`  <text x="%d" y="%d">RTT p95</text>`, left+width+6, rttTop+rttTall)

	score := func(points float64) float64 { return partTop + partTall - partTall*points/100 }
	parts := []struct {
		name, color string
		upTo        func(Report) float64
	}{
		{"TLS", "#f0b429", func(r Report) float64 { return r.Score }},
		{"failures", "#65d6ad", func(r Report) float64 { return r.Parts.RTT + r.Parts.Failures }},
		{"RTT", "#8cc4ea", func(r Report) float64 { return r.Parts.RTT }},
	}
	for i, part := range parts {
		p(`  <path fill="%s" d="%sV%d H%dZ"/>`, part.color, line(reports, func(r Report) float64 { return score(part.upTo(r)) }), partTop+partTall, left)
		p(`  <rect x="%d" y="%d" width="10" height="10" fill="%s"/><text x="%d" y="%d">%s</text>`, left+width+6, partTop+80+20*i, part.color, left+width+22, partTop+89+20*i, part.name)
	}
	for _, points := range []float64{0, 50, 100} {
		p(`  <path class="l" d="M%d %.0fh%d"/><text class="s" x="%d" y="%.0f" text-anchor="end">%.0f</text>`, left, score(points), width, left-6, score(points)+4, points)
	}
	for _, bar := range []struct {
		at   float64
		name string
	}{{85, "85: no more"}, {90, "90: again"}} {
		p(`  <path class="bar" d="M%d %.0fh%d"/><text class="s" x="%d" y="%.0f">%s</text>`, left, score(bar.at), width, left+width+6, score(bar.at)+4-(bar.at-85)*0.8+3, bar.name)
	}

	colors := map[State]string{Fit: "#3ebd93", Warming: "#f0b429", Failing: "#e12d39"}
	for from := 0; from < len(reports); {
		to := from
		for to < len(reports) && reports[to].State == reports[from].State {
			to++
		}
		p(`  <rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>`, left+float64(from)/5, bandTop, float64(to-from)/5, bandTall, colors[reports[from].State])
		from = to
	}
	for i, s := range []State{Fit, Warming, Failing} {
		p(`  <rect x="%d" y="448" width="10" height="10" fill="%s"/><text x="%d" y="457">%s</text>`, left+90*i, colors[s], left+16+90*i, s)
	}
	for m := 0; m <= 60; m += 10 {
		p(`  <text class="s" x="%d" y="%d" text-anchor="middle">%d min</text>`, left+12*m, bandTop+bandTall+14, m)
	}
	p(`</svg>`)
	return b.String()
}

func px(t time.Duration) int { return left + int(t/(5*time.Second)) }

// line draws what it was every five seconds, where that is another than before.
func line(reports []Report, y func(Report) float64) string {
	var b strings.Builder
	last := ""
	for i := 0; i < len(reports); i += 5 {
		v := y(reports[i])
		next := fmt.Sprintf("%.0f", v)
		switch {
		case i == 0:
			fmt.Fprintf(&b, "M%d %s", left, next)
		case next != last:
			fmt.Fprintf(&b, "H%dV%s", left+i/5, next)
		}
		last = next
	}
	fmt.Fprintf(&b, "H%d", left+width)
	return b.String()
}
