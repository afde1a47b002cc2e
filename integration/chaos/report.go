package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"
)

// A figure is one line of a scenario's report. One with a bound fails the run when it is beyond.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
	Bound string  `json:"bound,omitempty"` // as "= 0"
	OK    bool    `json:"ok"`
}

// An outcome is a scenario's report.
type outcome struct {
	Scenario string   `json:"scenario"`
	Seed     uint64   `json:"seed"`
	Seconds  float64  `json:"seconds"`
	Figures  []figure `json:"figures"`
	Verdict  *verdict `json:"verdict,omitempty"`
	Timeline []string `json:"timeline,omitempty"` // what was done to it, and when
	Error    string   `json:"error,omitempty"`
}

func (o *outcome) ok() bool {
	for _, f := range o.Figures {
		if !f.OK {
			return false
		}
	}
	return o.Error == ""
}

// note adds a figure without a bound.
func (o *outcome) note(name string, value float64, unit string) {
	o.Figures = append(o.Figures, figure{Name: name, Value: value, Unit: unit, OK: true})
}

func (o *outcome) atMost(name string, value, bound float64, unit string) {
	o.Figures = append(o.Figures, figure{name, value, unit, fmt.Sprintf("≤ %g", bound), value <= bound})
}

func (o *outcome) atLeast(name string, value, bound float64, unit string) {
	o.Figures = append(o.Figures, figure{name, value, unit, fmt.Sprintf("≥ %g", bound), value >= bound})
}

func (o *outcome) none(name string, value int) {
	o.Figures = append(o.Figures, figure{name, float64(value), "", "= 0", value == 0})
}

// promises adds what every scenario promises of both directions.
func (o *outcome) promises(v verdict) {
	o.Verdict = &v
	ways := []struct {
		name string
		t    tally
	}{{"up", v.Up}, {"down", v.Down}}
	if v.Down.Sent == 0 {
		ways = ways[:1]
	}
	for _, w := range ways {
		o.note(w.name+": messages sent", float64(w.t.Sent), "")
		o.none(w.name+": acknowledged and lost", w.t.Lost)
		o.none(w.name+": doubled at QoS 2", w.t.Doubled2)
		o.note(w.name+": doubled at QoS 1", float64(w.t.Doubled1), "")
		o.none(w.name+": out of order", w.t.Disordered)
		o.none(w.name+": never sent, and arrived", w.t.Unknown)
		o.none(w.name+": not acknowledged in the end", w.t.Open)
	}
	o.none("sessions lost", v.Renewed)
	o.note("refused, and sent again", float64(v.Refused), "")
}

// print writes the report as a table.
func (o *outcome) print(to io.Writer) {
	fmt.Fprintf(to, "%s: seed %d, %.0f s\n", o.Scenario, o.Seed, o.Seconds)
	tab := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, f := range o.Figures {
		mark := ""
		if f.Bound != "" {
			mark = "ok"
		}
		if !f.OK {
			mark = "FAILED"
		}
		fmt.Fprintf(tab, "  %s\t%s %s\t%s\t%s\n", f.Name, number(f.Value), f.Unit, f.Bound, mark)
	}
	_ = tab.Flush()
	if o.Verdict != nil && !o.ok() {
		for _, n := range o.Verdict.Notes {
			fmt.Fprintln(to, "  -", n)
		}
	}
	if o.Error != "" {
		fmt.Fprintln(to, "  error:", o.Error)
	}
}

// number writes a value as a reader would: whole where it is.
func number(v float64) string {
	if v == float64(int64(v)) {
		return fmt.Sprintf("%d", int64(v))
	}
	return fmt.Sprintf("%.3g", v)
}

// ms is a duration in milliseconds.
func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func writeJSON(path string, all []*outcome) error {
	b, err := json.MarshalIndent(all, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
