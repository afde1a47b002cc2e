package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

type sessionsArgs struct {
	adminArgs
	id     string // one of them; "": a list
	verb   string // "": none, show it; else end
	filter url.Values
	limit  int
	json   bool
}

// sessionLine is what the tables show of a session.
type sessionLine struct {
	ID       string    `json:"id"`
	Handler  string    `json:"handler"`
	Client   string    `json:"client"`
	State    string    `json:"state"`
	Owner    string    `json:"owner"`
	Fence    uint64    `json:"fence"`
	Since    time.Time `json:"since"`
	Seen     time.Time `json:"seen"`
	Expiry   float64   `json:"expiry_seconds"`
	Remote   string    `json:"remote"`
	Backend  string    `json:"backend"`
	Up       *boxLine  `json:"up"`
	Down     *boxLine  `json:"down"`
	InFlight int       `json:"in_flight"`
	Unproved int       `json:"unproved"`
	Requests int       `json:"requests"`
}

// boxLine is what is queued one way.
type boxLine struct {
	Messages int       `json:"messages"`
	Failed   int       `json:"failed"`
	Bytes    int64     `json:"bytes"`
	Oldest   time.Time `json:"oldest"`
}

// count is how many messages there are, and how many of them have failed.
func (b *boxLine) count() string {
	switch {
	case b == nil:
		return none
	case b.Failed > 0:
		return fmt.Sprintf("%d, %d failed", b.Messages, b.Failed)
	default:
		return fmt.Sprint(b.Messages)
	}
}

// whole is all that is known of them.
func (b *boxLine) whole(now time.Time) string {
	text := b.count()
	if b != nil && b.Messages > 0 {
		text += fmt.Sprintf(", %s, the oldest %s", bytesText(float64(b.Bytes)), since(now, b.Oldest))
	}
	return text
}

// sessions lists sessions, shows one, or ends it.
func sessions(ctx context.Context, a sessionsArgs, std stdio) (int, error) {
	if a.verb != "" && a.verb != "end" {
		return exitUsage, fmt.Errorf("there is no verb %q for sessions: end", a.verb)
	}
	api, err := a.find()
	if err != nil {
		return exitUsage, err
	}
	switch {
	case a.verb != "":
		var told struct{ Ended int }
		if err := api.call(ctx, http.MethodDelete, "/gopr/sessions/"+url.PathEscape(a.id), nil, &told); err != nil {
			return failed(err), err
		}
		fmt.Fprintf(std.out, "ended %s\n", plural(told.Ended, "session"))
		return exitOK, nil
	case a.id != "":
		return showSession(ctx, api, a, std)
	}
	t := newTable("ID", "HANDLER", "CLIENT", "STATE", "AGE", "SEEN", "UP", "DOWN", "IN FLIGHT", "UNPROVED", "REMOTE", "BACKEND", "OWNER")
	now := time.Now()
	return listSome(ctx, api, "sessions", a.filter, a.limit, a.json, std, t, func(s *sessionLine) []string {
		return []string{
			s.ID, s.Handler, s.Client, s.State, since(now, s.Since), since(now, s.Seen), s.Up.count(), s.Down.count(),
			fmt.Sprint(s.InFlight), fmt.Sprint(s.Unproved), orNone(s.Remote), orNone(s.Backend), s.Owner,
		}
	})
}

// showSession shows one.
func showSession(ctx context.Context, api *admin, a sessionsArgs, std stdio) (int, error) {
	var raw json.RawMessage
	if err := api.call(ctx, http.MethodGet, "/gopr/sessions/"+url.PathEscape(a.id), nil, &raw); err != nil {
		return failed(err), err
	}
	if a.json {
		return exitOK, json.NewEncoder(std.out).Encode(raw)
	}
	var s sessionLine
	if err := json.Unmarshal(raw, &s); err != nil {
		return exitUsage, err
	}
	return exitOK, s.print(std.out, time.Now())
}

func (s *sessionLine) print(out io.Writer, now time.Time) error {
	t := newTable("id", s.ID)
	t.row("handler", s.Handler)
	t.row("client", s.Client)
	t.row("state", s.State)
	t.row("owner", fmt.Sprintf("%s, in hand %d", s.Owner, s.Fence))
	t.row("age", since(now, s.Since))
	t.row("last seen", since(now, s.Seen))
	t.row("expiry", span(time.Duration(s.Expiry*float64(time.Second))))
	t.row("remote", orNone(s.Remote))
	t.row("backend", orNone(s.Backend))
	t.row("up", s.Up.whole(now))
	t.row("down", s.Down.whole(now))
	t.row("in flight", fmt.Sprint(s.InFlight))
	t.row("unproved", fmt.Sprint(s.Unproved))
	t.row("requests", fmt.Sprint(s.Requests))
	return t.print(out)
}

func orNone(s string) string {
	if s == "" {
		return none
	}
	return s
}

// listSome lists what a path of the admin API has, as a table or as JSON, one a line: page after page, until there are as many as limit; 0: all.
func listSome[T any](ctx context.Context, api *admin, name string, filter url.Values, limit int, asJSON bool, std stdio, t *table, cells func(*T) []string) (int, error) {
	query := url.Values{}
	for key, values := range filter {
		query[key] = values
	}
	enc := json.NewEncoder(std.out)
	more, n := true, 0
	for more && (limit == 0 || n < limit) {
		query.Set("limit", fmt.Sprint(pageOf(limit, n)))
		var answer map[string]json.RawMessage
		if err := api.call(ctx, http.MethodGet, "/gopr/"+name, query, &answer); err != nil {
			return failed(err), err
		}
		var all []json.RawMessage
		if err := json.Unmarshal(answer[name], &all); err != nil {
			return exitUsage, fmt.Errorf("the admin endpoint's answer to /gopr/%s: %w", name, err)
		}
		for _, raw := range all {
			n++
			var one T
			if asJSON {
				if err := enc.Encode(raw); err != nil {
					return exitUsage, err
				}
			} else if err := json.Unmarshal(raw, &one); err != nil {
				return exitUsage, fmt.Errorf("the admin endpoint's answer to /gopr/%s: %w", name, err)
			} else {
				t.row(cells(&one)...)
			}
		}
		var cursor string
		_ = json.Unmarshal(answer["next"], &cursor) // missing: this was the last
		if more = cursor != ""; more {
			query.Set("cursor", cursor)
		}
	}
	if asJSON {
		return exitOK, nil
	}
	if err := t.print(std.out); err != nil {
		return exitUsage, err
	}
	if more {
		fmt.Fprintf(std.err, "%d %s; there are more: --limit 0 lists all, and filters choose\n", n, name)
	}
	return exitOK, nil
}

// pageOf is how many to ask for next, of at most limit, when there are n; limit 0: of all.
func pageOf(limit, n int) int {
	if limit == 0 {
		return page
	}
	return min(page, limit-n)
}
