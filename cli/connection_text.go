package cli

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// connectionLine is what the tables show of a connection.
type connectionLine struct {
	ID         string    `json:"id"`
	Handler    string    `json:"handler"`
	Remote     string    `json:"remote"`
	Local      string    `json:"local"`
	TLSSubject string    `json:"tls_subject"`
	Client     string    `json:"client"`
	Session    string    `json:"session"`
	State      string    `json:"state"`
	Since      time.Time `json:"since"`
	LastFrame  time.Time `json:"last_frame"`
	LastHeard  time.Time `json:"last_heard"`
	RTT        float64   `json:"rtt_seconds"`
	FramesIn   uint64    `json:"frames_in"`
	FramesOut  uint64    `json:"frames_out"`
	BytesIn    uint64    `json:"bytes_in"`
	BytesOut   uint64    `json:"bytes_out"`
	Pending    int       `json:"pending"`
	Unanswered int       `json:"unanswered"`
	Upstreams  []struct {
		Group      string `json:"group"`
		Backend    string `json:"backend"`
		Unanswered int    `json:"unanswered"`
	} `json:"upstreams"`
	Frames []frameHeader `json:"frames"`

	// Of one that has ended.
	Closed   time.Time `json:"closed"`
	Duration float64   `json:"duration_seconds"`
	Reason   string    `json:"reason"`
	Error    string    `json:"error"`
}

// frameHeader is an entry of the flight recorder.
type frameHeader struct {
	At        time.Time `json:"at"`
	Direction string    `json:"direction"`
	Heartbeat bool      `json:"heartbeat"`
	Rejected  string    `json:"rejected"`
	Cmd       uint32    `json:"cmd"`
	Flag      uint32    `json:"flag"`
	Bytes     int       `json:"bytes"`
	Times     int       `json:"times"`
}

func connectionColumns(closed bool) []string {
	columns := []string{"ID", "HANDLER", "REMOTE", "STATE", "AGE", "LAST FRAME", "FRAMES IN", "OUT", "PENDING", "UNANSWERED", "BACKEND"}
	if closed {
		columns = []string{"CLOSED", "ID", "HANDLER", "REMOTE", "LASTED", "FRAMES IN", "OUT", "REASON", "ERROR"}
	}
	return columns
}

func (c *connectionLine) cells(now time.Time) []string {
	in, out := fmt.Sprint(c.FramesIn), fmt.Sprint(c.FramesOut)
	if !c.Closed.IsZero() {
		lasted := time.Duration(c.Duration * float64(time.Second))
		return []string{since(now, c.Closed) + " ago", c.ID, c.Handler, c.Remote, span(lasted), in, out, c.Reason, c.Error}
	}
	var backends []string
	for _, u := range c.Upstreams {
		if u.Backend != "" {
			backends = append(backends, u.Backend)
		}
	}
	if len(backends) == 0 {
		backends = []string{none}
	}
	return []string{
		c.ID, c.Handler, c.Remote, c.State, since(now, c.Since), since(now, c.LastFrame), in, out,
		bytesText(float64(c.Pending)), fmt.Sprint(c.Unanswered), strings.Join(backends, " "),
	}
}

// print shows all that is known.
func (c *connectionLine) print(out io.Writer, now time.Time) error {
	t := newTable("id", c.ID)
	t.row("handler", c.Handler)
	t.row("remote", c.Remote)
	t.row("local", c.Local)
	if c.TLSSubject != "" {
		t.row("TLS subject", c.TLSSubject)
	}
	if c.Client != "" {
		t.row("client", c.Client)
		t.row("session", orNone(c.Session))
	}
	t.row("state", c.State)
	t.row("age", since(now, c.Since))
	t.row("last frame", since(now, c.LastFrame))
	t.row("last heard", since(now, c.LastHeard))
	if c.RTT > 0 {
		t.row("round trip", ms(time.Duration(c.RTT*float64(time.Second)))+" ms")
	}
	t.row("in", fmt.Sprintf("%s, %s", plural(c.FramesIn, "frame"), bytesText(float64(c.BytesIn))))
	t.row("out", fmt.Sprintf("%s, %s", plural(c.FramesOut, "frame"), bytesText(float64(c.BytesOut))))
	t.row("pending", bytesText(float64(c.Pending)))
	t.row("unanswered", fmt.Sprint(c.Unanswered))
	for _, u := range c.Upstreams {
		backend := u.Backend
		if backend == "" {
			backend = "none"
		}
		t.row("upstream", fmt.Sprintf("%s, backend %s, %d unanswered", u.Group, backend, u.Unanswered))
	}
	if err := t.print(out); err != nil || len(c.Frames) == 0 {
		return err
	}
	fmt.Fprintln(out)
	t = newTable("AGO", "WAY", "CMD", "FLAG", "BYTES", "")
	for _, f := range c.Frames {
		cmd, flag, note := fmt.Sprintf("0x%02X", f.Cmd), fmt.Sprintf("0x%02X", f.Flag), ""
		switch {
		case f.Rejected != "":
			cmd, flag, note = none, none, "rejected: "+f.Rejected
		case f.Heartbeat && f.Times > 1:
			note = fmt.Sprintf("heartbeat, %d in a row", f.Times)
		case f.Heartbeat:
			note = "heartbeat"
		}
		t.row(since(now, f.At), f.Direction, cmd, flag, fmt.Sprint(f.Bytes), note)
	}
	return t.print(out)
}
