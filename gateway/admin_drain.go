package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
)

var drainEndpoints = []endpoint{
	{"/gopr/drain", map[string]handle{http.MethodPost: postDrain, http.MethodDelete: deleteDrain}},
}

// drainView is what POST and DELETE /gopr/drain answer.
type drainView struct {
	Handlers []drainedView `json:"handlers"`
	Grace    float64       `json:"grace_seconds"` // of the drain that begins
	Drain    float64       `json:"drain_seconds"`
}

type drainedView struct {
	Handler     string `json:"handler"`
	Connections int    `json:"connections"` // that are still there
}

// postDrain drains one handler, or all. Without grace or drain, those of the configuration are taken.
func postDrain(w http.ResponseWriter, r *http.Request) error {
	s := inForce.schedule()
	for name, to := range map[string]*time.Duration{"grace": &s.Grace, "drain": &s.Window} {
		given := r.FormValue(name)
		if given == "" {
			continue
		}
		d, err := caddy.ParseDuration(given)
		if err != nil || d < 0 {
			return fault(http.StatusBadRequest, "%s: %q is no time: write it as in %s=30s", name, given, name)
		}
		*to = d
	}
	v := drainView{Handlers: []drainedView{}, Grace: s.Grace.Seconds(), Drain: s.Window.Seconds()}
	return v.each(w, r, func(l *Live) bool {
		l.startDrain(drainAsked, s)
		return true
	})
}

// deleteDrain ends the drains that were asked for. Connections that were told to leave still do.
func deleteDrain(w http.ResponseWriter, r *http.Request) error {
	v := drainView{Handlers: []drainedView{}}
	return v.each(w, r, func(l *Live) bool { return l.endDrain(drainAsked) })
}

// each does something with the handlers that are meant, and answers with those where it was done.
func (v *drainView) each(w http.ResponseWriter, r *http.Request, do func(*Live) bool) error {
	for key := range r.URL.Query() { // a slip of the pen must not send the clients of all handlers away
		if key != "handler" && key != "grace" && key != "drain" {
			return fault(http.StatusBadRequest, "there is no parameter %q: handler, grace or drain", key)
		}
	}
	all, release := holdAll()
	defer release()
	name, found := r.FormValue("handler"), false
	var names []string
	for _, l := range all {
		names = append(names, l.Name)
		if name != "" && name != l.Name {
			continue
		}
		found = true
		if do(l) {
			v.Handlers = append(v.Handlers, drainedView{l.Name, l.Open()})
		}
	}
	if name != "" && !found {
		return fault(http.StatusNotFound, "there is no handler %q: %s", name, known(names))
	}
	return answer(w, v)
}

// known names the handlers there are.
func known(names []string) string {
	if len(names) == 0 {
		return "there are none"
	}
	return fmt.Sprintf("there are %s", strings.Join(names, ", "))
}
