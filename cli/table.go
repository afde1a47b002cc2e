package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// table lines up columns for a reader's eye.
type table struct {
	rows bytes.Buffer
	w    *tabwriter.Writer
}

func newTable(columns ...string) *table {
	t := new(table)
	t.w = tabwriter.NewWriter(&t.rows, 0, 0, 2, ' ', 0)
	t.row(columns...)
	return t
}

func (t *table) row(cells ...string) { fmt.Fprintln(t.w, strings.Join(cells, "\t")) }

func (t *table) print(out io.Writer) error {
	if err := t.w.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(t.rows.String()) {
		if _, err := io.WriteString(out, strings.TrimRight(line, " \n")+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// none is what a cell without a value shows.
const none = "-"

// span is a time as a table shows it, in its two largest units: 350ms, 12s, 5m30s, 7h12m, 3d4h.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Truncate(time.Millisecond).String()
	case d < time.Minute:
		return d.Truncate(time.Second).String()
	case d < time.Hour:
		return d.Truncate(time.Second).String()
	case d < 24*time.Hour:
		return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	default:
		days := d / (24 * time.Hour)
		return fmt.Sprintf("%dd%dh", days, (d-days*24*time.Hour)/time.Hour)
	}
}

// since is how long ago something was; none where it never was.
func since(now, at time.Time) string {
	if at.IsZero() {
		return none
	}
	return span(max(0, now.Sub(at)))
}

// bytesText is a number of bytes in units of 1024.
func bytesText(n float64) string {
	unit := 0
	for ; n >= 1000 && unit < len(byteUnits)-1; unit++ {
		n /= 1024
	}
	if unit == 0 {
		return fmt.Sprintf("%.0f B", n)
	}
	return fmt.Sprintf("%.3g %s", n, byteUnits[unit])
}

var byteUnits = []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
