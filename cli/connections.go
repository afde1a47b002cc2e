package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

type connectionsArgs struct {
	adminArgs
	id     string // one of them in detail; "": a list
	filter url.Values
	closed bool // those that have ended
	limit  int  // 0: all
	json   bool
}

// page is how many connections are asked for at once.
const page = 1000

// connections lists connections, or shows one.
func connections(ctx context.Context, a connectionsArgs, std stdio) (int, error) {
	api, err := a.find()
	if err != nil {
		return exitUsage, err
	}
	if a.id != "" {
		return connection(ctx, api, a, std)
	}
	if reason := a.filter.Get("reason"); reason != "" && !a.closed {
		return exitUsage, fmt.Errorf("--reason %s: a live connection has no reason to have ended: add --closed", reason)
	}
	path, list := "/gopr/connections", "connections"
	if a.closed {
		path, list = "/gopr/closed", "closed"
	}
	t := newTable(connectionColumns(a.closed)...)
	n, more, now, enc := 0, false, time.Now(), json.NewEncoder(std.out)
	for cursor := ""; ; {
		query := url.Values{"limit": {fmt.Sprint(page)}}
		for key, values := range a.filter {
			query[key] = values
		}
		if a.limit > 0 {
			query.Set("limit", fmt.Sprint(min(page, a.limit-n)))
		}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		var answer map[string]json.RawMessage
		if err := api.call(ctx, http.MethodGet, path, query, &answer); err != nil {
			return failed(err), err
		}
		var all []json.RawMessage
		if err := json.Unmarshal(answer[list], &all); err != nil {
			return exitUsage, fmt.Errorf("the admin endpoint's answer to %s: %w", path, err)
		}
		for _, raw := range all {
			n++
			if a.json {
				if err := enc.Encode(raw); err != nil {
					return exitUsage, err
				}
				continue
			}
			var c connectionLine
			if err := json.Unmarshal(raw, &c); err != nil {
				return exitUsage, fmt.Errorf("the admin endpoint's answer to %s: %w", path, err)
			}
			t.row(c.cells(now)...)
		}
		cursor = ""
		_ = json.Unmarshal(answer["next"], &cursor) // missing: this was the last
		if more = cursor != ""; !more || a.limit > 0 && n >= a.limit {
			break
		}
	}
	if !a.json {
		if err := t.print(std.out); err != nil {
			return exitUsage, err
		}
		if more {
			fmt.Fprintf(std.err, "%s; there are more: --limit 0 lists all\n", plural(n, "connection"))
		}
	}
	return exitOK, nil
}

// connection shows one.
func connection(ctx context.Context, api *admin, a connectionsArgs, std stdio) (int, error) {
	var raw json.RawMessage
	if err := api.call(ctx, http.MethodGet, "/gopr/connections/"+url.PathEscape(a.id), nil, &raw); err != nil {
		return failed(err), err
	}
	if a.json {
		return exitOK, json.NewEncoder(std.out).Encode(raw)
	}
	var c connectionLine
	if err := json.Unmarshal(raw, &c); err != nil {
		return exitUsage, err
	}
	if err := c.print(std.out, time.Now()); err != nil {
		return exitUsage, err
	}
	return exitOK, nil
}
