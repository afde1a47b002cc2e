package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-gopr/caddy-gopr/delivery"
	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/session"
)

var messageEndpoints = []endpoint{
	{"/gopr/messages", map[string]handle{http.MethodGet: getMessages}},
	{"/gopr/messages/{id}/{verb}", map[string]handle{http.MethodPost: postMessage}},
}

// messageView is a stored message as the admin API shows it: all but its payload, which is the application's own.
type messageView struct {
	ID        string     `json:"id"` // of the session, the direction and the message: what the paths take
	Handler   string     `json:"handler"`
	Session   string     `json:"session"`
	Direction string     `json:"direction"` // up, to the backend; down, to the client
	Message   uint64     `json:"message"`   // its number; the lower 32 bits are what its sender calls it, or the gateway
	Cmd       uint8      `json:"cmd"`
	Flag      uint8      `json:"flag"`
	QoS       uint8      `json:"qos"`
	State     string     `json:"state"`
	Retries   uint8      `json:"retries"`
	Bytes     int        `json:"bytes"` // of its payload
	Created   time.Time  `json:"created"`
	Expires   *time.Time `json:"expires,omitempty"`
}

// messageStates are the names of states, by queue.State.
var messageStates = [...]string{queue.Queued: "queued", queue.Acknowledged: "acknowledged", queue.Failed: "failed"}

func viewOfMessage(handler string, e *queue.Entry) messageView {
	m := &e.Message
	return messageView{
		ID: messageName(e.Box, m.ID), Handler: handler, Session: SessionName(session.ID(e.Box.Session)), Direction: directions[e.Box.Direction],
		Message: m.ID, Cmd: m.Cmd, Flag: m.Flag, QoS: m.QoS, State: messageStates[m.State], Retries: m.Retries, Bytes: len(m.Payload),
		Created: m.Created.UTC(), Expires: moment(m.Expires),
	}
}

// messageName is what a message is called by: no two of all handlers have the same.
func messageName(b queue.Box, id uint64) string {
	return fmt.Sprintf("%s-%s-%d", SessionName(session.ID(b.Session)), directions[b.Direction], id)
}

func parseMessage(s string) (b queue.Box, id uint64, err error) {
	parts := strings.Split(s, "-")
	if len(parts) == 3 {
		var of session.ID
		of, err = parseSession(parts[0])
		b.Session = queue.SessionID(of)
		d := slices.Index(directions[:], parts[1])
		b.Direction = queue.Direction(max(d, 0))
		if id, _ = strconv.ParseUint(parts[2], 10, 64); err == nil && d >= 0 && id > 0 {
			return b, id, nil
		}
	}
	return b, 0, fmt.Errorf("%q is no message: its id is as GET /gopr/messages shows it", s)
}

// getMessages lists messages, by handler and session; within a session, the oldest of each direction first.
func getMessages(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if err := onlyKnown(q, "handler", "session", "direction", "state", "limit", "cursor"); err != nil {
		return err
	}
	limit, err := parseLimit(q)
	if err != nil {
		return fault(http.StatusBadRequest, "%w", err)
	}
	f := queue.Filter{Limit: limit + 1}
	if s := q.Get("session"); s != "" {
		id, err := parseSession(s)
		if err != nil {
			return fault(http.StatusBadRequest, "%w", err)
		}
		f.Session = (*queue.SessionID)(&id)
	}
	if s := q.Get("direction"); s != "" {
		d := queue.Direction(slices.Index(directions[:], s))
		if int(d) >= len(directions) {
			return fault(http.StatusBadRequest, "there is no direction %q: one of %s", s, strings.Join(directions[:], ", "))
		}
		f.Direction = &d
	}
	if s := q.Get("state"); s != "" {
		state := queue.State(slices.Index(messageStates[:], s))
		if int(state) >= len(messageStates) {
			return fault(http.StatusBadRequest, "there is no state %q: one of %s", s, strings.Join(messageStates[:], ", "))
		}
		f.State = &state
	}
	of, err := servicesOf(q.Get("handler"))
	if err != nil {
		return err
	}
	p, err := messagePage(q.Get("cursor"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	err = p.fill(of, limit, func(v service, after *queue.Place) ([]queue.Entry, error) {
		f.After = after
		return v.Messages(ctx, f)
	})
	if err != nil {
		return err
	}
	return p.answer(w, limit, func(handler string, e *queue.Entry) any { return viewOfMessage(handler, e) }, nameOfMessagePlace)
}

// postMessage has a failed message delivered again, or forgets one.
func postMessage(w http.ResponseWriter, r *http.Request) error {
	name, verb := r.PathValue("id"), r.PathValue("verb")
	if verb != "requeue" && verb != "drop" {
		return fault(http.StatusNotFound, "no verb %q for messages: requeue or drop", verb)
	}
	b, id, err := parseMessage(name)
	if err != nil {
		return fault(http.StatusNotFound, "%w", err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	v, e, err := findMessage(ctx, b, id)
	if err != nil {
		return err
	}
	if verb == "requeue" && e.Message.State != queue.Failed {
		return fault(http.StatusConflict, "message %s has not failed, it is %s: what has not failed is delivered anyway", name, messageStates[e.Message.State])
	}
	if verb == "requeue" {
		err = v.Requeue(ctx, b, id)
	} else {
		err = v.Drop(ctx, b, id)
	}
	switch {
	case errors.Is(err, delivery.ErrDirection):
		return fault(http.StatusConflict, "message %s: %w", name, err)
	case err != nil:
		i, _ := v.Find(ctx, session.ID(b.Session))
		return sessionFault(v, session.ID(b.Session), i.Owner, err)
	}
	Log.Info("message told to "+verb, "handler", v.handler, "message", name)
	return answer(w, map[string]string{"message": name, "done": verb})
}

// findMessage returns a message, and the service that has it.
func findMessage(ctx context.Context, b queue.Box, id uint64) (service, queue.Entry, error) {
	for _, v := range services.of("") {
		all, err := v.Messages(ctx, queue.Filter{Session: &b.Session, Direction: &b.Direction, After: &queue.Place{Box: b, ID: id - 1}, Limit: 1})
		if err != nil {
			return service{}, queue.Entry{}, storeFault(v, err)
		}
		if len(all) == 1 && all[0].Message.ID == id {
			return v, all[0], nil
		}
	}
	return service{}, queue.Entry{}, fault(http.StatusNotFound, "there is no message %s: it was delivered, or has expired", messageName(b, id))
}
