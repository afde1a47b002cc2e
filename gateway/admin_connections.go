package gateway

import (
	"net"
	"net/http"
	"time"
)

var connectionEndpoints = []endpoint{
	{"/gopr/connections", map[string]handle{http.MethodGet: getConnections, http.MethodDelete: deleteConnections}},
	{"/gopr/connections/{id}", map[string]handle{http.MethodGet: getConnection, http.MethodDelete: deleteConnection}},
}

// connectionView is a live connection as the admin API shows it.
type connectionView struct {
	ID         string     `json:"id"`
	Handler    string     `json:"handler"`
	Remote     string     `json:"remote"`
	Local      string     `json:"local,omitempty"`
	TLSSubject string     `json:"tls_subject,omitempty"` // of the client's certificate
	Client     string     `json:"client,omitempty"`      // the id that it said HELLO with
	Session    string     `json:"session,omitempty"`     // its session's id
	State      string     `json:"state,omitempty"`
	Since      time.Time  `json:"since"`
	LastFrame  *time.Time `json:"last_frame,omitempty"` // application frame, either way
	LastHeard  *time.Time `json:"last_heard,omitempty"` // from the client, heartbeats included
	RTT        float64    `json:"rtt_seconds,omitempty"`
	FramesIn   uint64     `json:"frames_in"`
	FramesOut  uint64     `json:"frames_out"`
	BytesIn    uint64     `json:"bytes_in"`
	BytesOut   uint64     `json:"bytes_out"`
	Pending    int        `json:"pending"`              // bytes unsent to the client
	Unanswered int        `json:"unanswered"`           // requests of the client
	Generation uint64     `json:"generation,omitempty"` // of its settings
	Differs    []string   `json:"differs,omitempty"`    // what of the settings in force it has not adopted
	Upstreams  []linkView `json:"upstreams,omitempty"`
}

// linkView is what a connection has of a group of backends.
type linkView struct {
	Group      string `json:"group"`
	Backend    string `json:"backend,omitempty"` // left out: none serves it now
	Unanswered int    `json:"unanswered"`
}

func (i *Info) view(handler string) connectionView {
	v := connectionView{
		ID: i.ID.String(), Handler: handler, Remote: text(i.Remote), Local: text(i.Local), TLSSubject: i.TLSSubject, Client: i.Client, Session: i.Session, State: i.State,
		Since: i.Since.UTC(), LastFrame: moment(i.LastFrame), LastHeard: moment(i.LastHeard), RTT: i.RTT.Seconds(),
		FramesIn: i.FramesIn, FramesOut: i.FramesOut, BytesIn: i.BytesIn, BytesOut: i.BytesOut,
		Pending: max(0, i.Unsent), Unanswered: i.Unanswered, Generation: i.Generation, Differs: i.Differs,
	}
	for _, l := range i.Links {
		v.Upstreams = append(v.Upstreams, linkView(l))
	}
	return v
}

func text(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// frameView is a frame's header in the flight recorder.
type frameView struct {
	At        time.Time `json:"at"`
	Direction string    `json:"direction"` // in, from the client; out, to it
	Heartbeat bool      `json:"heartbeat,omitempty"`
	Rejected  string    `json:"rejected,omitempty"` // why
	Cmd       *uint32   `json:"cmd,omitempty"`
	Flag      *uint32   `json:"flag,omitempty"`
	Bytes     int       `json:"bytes"`           // of the whole frame
	Times     int       `json:"times,omitempty"` // heartbeats in a row, the last at At
}

// detailView is one connection with its flight recorder.
type detailView struct {
	connectionView
	Frames []frameView `json:"frames"` // the oldest first
}

func getConnections(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	f, err := parseFilter(q, liveKeys, "limit", "cursor")
	if err != nil {
		return fault(http.StatusBadRequest, "%w", err)
	}
	limit, err := parseLimit(q)
	if err != nil {
		return fault(http.StatusBadRequest, "%w", err)
	}
	var after ConnID
	if s := q.Get("cursor"); s != "" {
		if after, err = ParseConnID(s); err != nil {
			return fault(http.StatusBadRequest, "cursor: %w", err)
		}
	}
	l := newList(w, "connections")
	defer l.end()
	for e := range f.live(after) {
		if limit--; limit < 0 {
			l.next = after.String()
			break
		}
		after = e.ID
		if !l.add(e.view(e.handler)) {
			break
		}
	}
	return nil
}

func getConnection(w http.ResponseWriter, r *http.Request) error {
	e, err := find(r)
	if err != nil {
		return err
	}
	i := e.conn.Info()
	v := detailView{connectionView: i.view(e.live.Name), Frames: []frameView{}}
	for _, f := range e.conn.Recent() {
		v.Frames = append(v.Frames, f.view())
	}
	return answer(w, v)
}

func (f Frame) view() frameView {
	v := frameView{At: f.At.UTC(), Direction: "in", Heartbeat: f.Heartbeat, Rejected: f.Rejected, Bytes: f.Bytes}
	if f.Out {
		v.Direction = "out"
	}
	if f.Rejected == "" {
		v.Cmd, v.Flag = &f.Cmd, &f.Flag
	}
	if f.Times > 1 {
		v.Times = f.Times
	}
	return v
}

// closedView says how many connections were told to end.
type closedView struct {
	Closed int `json:"closed"`
}

func deleteConnection(w http.ResponseWriter, r *http.Request) error {
	e, err := find(r)
	if err != nil {
		return err
	}
	e.conn.End(ReasonKilled)
	return answer(w, closedView{1})
}

func deleteConnections(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	f, err := parseFilter(q, liveKeys, "limit", "all")
	if err != nil {
		return fault(http.StatusBadRequest, "%w", err)
	}
	switch all := q.Get("all"); {
	case all != "" && all != "true":
		return fault(http.StatusBadRequest, "all %q: true, or leave it out", all)
	case all != "" && f.set:
		return fault(http.StatusBadRequest, "all=true and a filter: say one of them")
	case all == "" && !f.set:
		return fault(http.StatusBadRequest, "%w", errAll)
	}
	limit := 0 // none
	if q.Has("limit") {
		if limit, err = parseLimit(q); err != nil {
			return fault(http.StatusBadRequest, "%w", err)
		}
	}
	last := ConnID(lastID.Load()) // those who come back at once are others
	n := 0
	for e := range f.live(0) {
		if e.ID > last || limit > 0 && n == limit {
			break
		}
		e.conn.End(ReasonKilled)
		n++
	}
	return answer(w, closedView{n})
}

// find returns the connection that the path names.
func find(r *http.Request) (entry, error) {
	id, err := ParseConnID(r.PathValue("id"))
	if err != nil {
		return entry{}, fault(http.StatusNotFound, "%w", err)
	}
	for _, l := range allLives() {
		if c := l.conns.get(id); c != nil {
			return entry{id, l, c}, nil
		}
	}
	return entry{}, fault(http.StatusNotFound, "there is no connection %v: it has ended, or never was; GET /gopr/closed has those that ended", id)
}
