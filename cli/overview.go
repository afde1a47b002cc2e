package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// overview is what `status --json` prints.
type overview struct {
	At        time.Time         `json:"at"`
	Interval  float64           `json:"interval_seconds,omitempty"` // that the rates are of
	Handlers  []*handlerStatus  `json:"handlers"`
	Upstreams []json.RawMessage `json:"upstreams"` // as the admin API has them
}

// handlerStatus is a handler as the admin API has it, with rates.
type handlerStatus struct {
	Handler     string `json:"handler"`
	Connections int    `json:"connections"`
	Opened      uint64 `json:"connections_opened"`
	FramesIn    uint64 `json:"frames_in"`
	FramesOut   uint64 `json:"frames_out"`
	BytesIn     uint64 `json:"bytes_in"`
	BytesOut    uint64 `json:"bytes_out"`
	Generation  uint64 `json:"generation,omitempty"` // of the configuration in force; 0: none has it
	Draining    bool   `json:"draining"`
	Rates       *rates `json:"rates,omitempty"`
}

// state says whether the handler takes clients in.
func (h *handlerStatus) state() string {
	switch {
	case h.Draining:
		return "draining"
	case h.Generation == 0:
		return "gone"
	default:
		return "open"
	}
}

// rates are per second.
type rates struct {
	Opened    float64 `json:"connections_opened"`
	FramesIn  float64 `json:"frames_in"`
	FramesOut float64 `json:"frames_out"`
	BytesIn   float64 `json:"bytes_in"`
	BytesOut  float64 `json:"bytes_out"`
}

func (a *admin) overview(ctx context.Context) (*overview, error) {
	o := &overview{At: time.Now()}
	if err := a.call(ctx, http.MethodGet, "/gopr/handlers", nil, o); err != nil {
		return nil, err
	}
	groups := struct{ Upstreams []json.RawMessage }{Upstreams: []json.RawMessage{}}
	err := a.call(ctx, http.MethodGet, "/gopr/upstreams", nil, &groups)
	o.Upstreams = groups.Upstreams
	return o, err
}

// rate works out the rates since an earlier overview. A total that has fallen is that of a process that began anew.
func (o *overview) rate(before *overview) {
	took := o.At.Sub(before.At).Seconds()
	if took <= 0 {
		return
	}
	o.Interval = took
	of := make(map[string]*handlerStatus)
	for _, h := range before.Handlers {
		of[h.Handler] = h
	}
	for _, h := range o.Handlers {
		was, ok := of[h.Handler]
		if !ok {
			continue
		}
		per := func(now, then uint64) float64 {
			if now < then {
				then = 0
			}
			return float64(now-then) / took
		}
		h.Rates = &rates{
			per(h.Opened, was.Opened), per(h.FramesIn, was.FramesIn), per(h.FramesOut, was.FramesOut), per(h.BytesIn, was.BytesIn), per(h.BytesOut, was.BytesOut),
		}
	}
}

func (o *overview) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(o)
	}
	if len(o.Handlers) == 0 {
		_, err := fmt.Fprintln(out, "this Caddy has no gopr handler, and no connection of one")
		return err
	}
	t := newTable("HANDLER", "STATE", "CONNECTIONS", "OPENED/s", "FRAMES IN/s", "OUT/s", "BYTES IN/s", "OUT/s")
	for _, h := range o.Handlers {
		if r := h.Rates; r != nil {
			t.row(h.Handler, h.state(), fmt.Sprint(h.Connections), number1(r.Opened), number1(r.FramesIn), number1(r.FramesOut), bytesText(r.BytesIn), bytesText(r.BytesOut))
		} else {
			t.row(h.Handler, h.state(), fmt.Sprint(h.Connections), none, none, none, none, none)
		}
	}
	if err := t.print(out); err != nil {
		return err
	}
	groups, err := readGroups(o.Upstreams)
	if err != nil || len(groups) == 0 {
		return err
	}
	fmt.Fprintln(out)
	return printGroups(out, o.At, groups)
}

// number1 is a rate, with a digit behind the point where it is small.
func number1(v float64) string {
	if v < 10 && v > 0 {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}
