package gateway

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-gopr/caddy-gopr/delivery"
	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/session"
)

var sessionEndpoints = []endpoint{
	{"/gopr/sessions", map[string]handle{http.MethodGet: getSessions}},
	{"/gopr/sessions/{id}", map[string]handle{http.MethodGet: getSession, http.MethodDelete: deleteSession}},
}

// storeTimeout is how long a store may take to answer the admin API.
const storeTimeout = 20 * time.Second

// sessionView is a session as the admin API shows it.
type sessionView struct {
	ID       string    `json:"id"`
	Handler  string    `json:"handler"`
	Client   string    `json:"client"` // its id; one that is no text, as 0x and hexadecimal digits
	State    string    `json:"state"`
	Owner    string    `json:"owner"` // the gateway that has it, or had it last
	Fence    uint64    `json:"fence"` // how many hands it has been in
	Since    time.Time `json:"since"`
	Seen     time.Time `json:"seen"` // when its client was last known to be there
	Expiry   float64   `json:"expiry_seconds"`
	Remote   string    `json:"remote,omitempty"`
	Backend  string    `json:"backend,omitempty"` // that it has a link to
	Up       *boxView  `json:"up,omitempty"`      // messages from the client; left out of a session that is away
	Down     *boxView  `json:"down,omitempty"`    // and to it
	InFlight int       `json:"in_flight"`         // messages sent to the client, and not acknowledged
	Unproved int       `json:"unproved"`          // messages sent to the backend, and not proved to have arrived
	Requests int       `json:"requests"`          // unanswered
}

// boxView is what is queued one way.
type boxView struct {
	Messages int        `json:"messages"`
	Failed   int        `json:"failed"` // of these
	Bytes    int64      `json:"bytes"`
	Oldest   *time.Time `json:"oldest,omitempty"`
}

func viewOfBox(i queue.Info) *boxView {
	return &boxView{i.Messages, i.Failed, i.Bytes, moment(i.Oldest)}
}

func viewOfSession(handler string, i *delivery.Info) sessionView {
	v := sessionView{
		ID: SessionName(i.ID), Handler: handler, Client: ClientName(i.Client), State: string(i.State), Owner: i.Owner, Fence: i.Fence,
		Since: i.Since.UTC(), Seen: i.Seen.UTC(), Expiry: i.Expiry.Seconds(), Remote: text(i.Remote), Backend: i.Backend,
		InFlight: i.InFlight, Unproved: i.Unproved, Requests: i.Requests,
	}
	if i.State != delivery.Away {
		v.Up, v.Down = viewOfBox(i.Up), viewOfBox(i.Down)
	}
	return v
}

// sessionStates are what sessions can be filtered by.
var sessionStates = []string{string(delivery.Attached), string(delivery.Parked), string(delivery.Orphan), string(delivery.Away)}

// getSessions lists sessions, by handler and client: also those that are in the stores alone.
func getSessions(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if err := onlyKnown(q, "handler", "client", "state", "limit", "cursor"); err != nil {
		return err
	}
	limit, err := parseLimit(q)
	if err != nil {
		return fault(http.StatusBadRequest, "%w", err)
	}
	f := delivery.Filter{Client: clientOf(q.Get("client")), State: delivery.State(q.Get("state")), Limit: limit + 1}
	if f.State != "" && !slices.Contains(sessionStates, string(f.State)) {
		return fault(http.StatusBadRequest, "there is no state %q: one of %s", f.State, strings.Join(sessionStates, ", "))
	}
	of, err := servicesOf(q.Get("handler"))
	if err != nil {
		return err
	}
	p, err := sessionPage(q.Get("cursor"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	err = p.fill(of, limit, func(v service, after *delivery.Place) ([]delivery.Info, error) {
		f.After = after
		return v.List(ctx, f)
	})
	if err != nil {
		return err
	}
	return p.answer(w, limit, func(handler string, i *delivery.Info) any { return viewOfSession(handler, i) }, nameOfSessionPlace)
}

func getSession(w http.ResponseWriter, r *http.Request) error {
	v, i, err := findSession(r)
	if err != nil {
		return err
	}
	return answer(w, viewOfSession(v.handler, &i))
}

// deleteSession ends a session: its client is closed, its messages are forgotten.
func deleteSession(w http.ResponseWriter, r *http.Request) error {
	v, i, err := findSession(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	if err := v.End(ctx, i.ID); err != nil {
		return sessionFault(v, i.ID, i.Owner, err)
	}
	Log.Info("session ended by an operator", "handler", v.handler, "session", SessionName(i.ID), "client", ClientName(i.Client))
	return answer(w, map[string]int{"ended": 1})
}

// findSession returns the session that the path names, and the service that knows of it.
func findSession(r *http.Request) (service, delivery.Info, error) {
	id, err := parseSession(r.PathValue("id"))
	if err != nil {
		return service{}, delivery.Info{}, fault(http.StatusNotFound, "%w", err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	var broken error // a store that could not be asked: the session may be there
	for _, v := range services.of("") {
		i, err := v.Find(ctx, id)
		switch {
		case err == nil:
			return v, i, nil
		case !errors.Is(err, session.ErrUnknown):
			broken = storeFault(v, err)
		}
	}
	if broken != nil {
		return service{}, delivery.Info{}, broken
	}
	return service{}, delivery.Info{}, fault(http.StatusNotFound, "there is no session %s: it has ended, or never was", SessionName(id))
}

// parseSession reads the id of a session.
func parseSession(s string) (id session.ID, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("%q is no session: its id has %d hexadecimal digits, as GET /gopr/sessions shows it", s, 2*len(id))
	}
	return session.ID(b), nil
}

// clientOf is what ClientName has made a name of.
func clientOf(name string) string {
	if digits, is := strings.CutPrefix(name, "0x"); is {
		if b, err := hex.DecodeString(digits); err == nil && ClientName(string(b)) == name {
			return string(b)
		}
	}
	if id, err := strconv.Unquote(`"` + name + `"`); err == nil {
		return id
	}
	return name
}

// servicesOf returns the services of a handler, or of all.
func servicesOf(handler string) ([]service, error) {
	of := services.of(handler)
	if handler != "" && len(of) == 0 {
		return nil, fault(http.StatusNotFound, "no handler %q keeps sessions: there are %q", handler, services.handlers())
	}
	return of, nil
}

// onlyKnown says which parameter there is not, or is given twice or without a value.
func onlyKnown(q url.Values, keys ...string) error {
	for key, values := range q {
		switch {
		case !slices.Contains(keys, key):
			return fault(http.StatusBadRequest, "there is no filter %q: one of %s", key, strings.Join(keys, ", "))
		case len(values) > 1:
			return fault(http.StatusBadRequest, "%s is given %d times: give it once", key, len(values))
		case values[0] == "":
			return fault(http.StatusBadRequest, "%s has no value: give one, or leave it out", key)
		}
	}
	return nil
}

// storeFault is what becomes of an answer that a store did not give.
func storeFault(v service, err error) error {
	return fault(http.StatusServiceUnavailable, "handler %s: its store: %w", v.handler, err)
}

// sessionFault is why something was not done to a session.
func sessionFault(v service, id session.ID, owner string, err error) error {
	switch {
	case errors.Is(err, session.ErrUnknown):
		return fault(http.StatusNotFound, "there is no session %s any more: it has just ended", SessionName(id))
	case errors.Is(err, session.ErrOwned), errors.Is(err, session.ErrFenced), errors.Is(err, queue.ErrFenced):
		return fault(http.StatusConflict, "session %s is with the gateway %s: ask that one", SessionName(id), cmp.Or(owner, "that came for it just now"))
	default:
		return storeFault(v, err)
	}
}
