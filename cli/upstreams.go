package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

type upstreamsArgs struct {
	adminArgs
	group   string // "": all
	verb    string // "": none, show them
	backend string // that the verb is for; "": the whole group
	json    bool
}

// upstreams shows upstream groups, or has a verb carried out.
func upstreams(ctx context.Context, a upstreamsArgs, std stdio) (int, error) {
	if a.backend != "" && a.verb == "" {
		return exitUsage, fmt.Errorf("--backend %s: it is for a verb, as in `upstreams GROUP drain --backend %s`", a.backend, a.backend)
	}
	api, err := a.find()
	if err != nil {
		return exitUsage, err
	}
	method, path, query := http.MethodGet, "/gopr/upstreams", url.Values{}
	if a.group != "" {
		path += "/" + url.PathEscape(a.group)
	}
	if a.verb != "" {
		method, path = http.MethodPost, path+"/"+url.PathEscape(a.verb)
	}
	if a.backend != "" {
		query.Set("backend", a.backend)
	}
	var answer struct {
		Upstreams []json.RawMessage `json:"upstreams"`
	}
	if err := api.call(ctx, method, path, query, &answer); err != nil {
		return failed(err), err
	}
	if a.json {
		enc := json.NewEncoder(std.out)
		for _, g := range answer.Upstreams {
			if err := enc.Encode(g); err != nil {
				return exitUsage, err
			}
		}
		return exitOK, nil
	}
	groups, err := readGroups(answer.Upstreams)
	if err != nil {
		return exitUsage, err
	}
	if err := printGroups(std.out, time.Now(), groups); err != nil {
		return exitUsage, err
	}
	return exitOK, nil
}
