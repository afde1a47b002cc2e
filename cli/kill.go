package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

type killArgs struct {
	adminArgs
	ids    []string
	filter url.Values
	limit  int // 0: none
	all    bool
}

// kill closes connections.
func kill(ctx context.Context, a killArgs, std stdio) (int, error) {
	switch {
	case len(a.ids) > 0 && (len(a.filter) > 0 || a.all):
		return exitUsage, errors.New("ids and filters: give one or the other")
	case len(a.filter) > 0 && a.all:
		return exitUsage, errors.New("--all and filters: give one or the other")
	case len(a.ids) == 0 && len(a.filter) == 0 && !a.all:
		return exitUsage, errors.New("whom to close is missing: give ids, or filters such as --handler devices, or --all")
	}
	api, err := a.find()
	if err != nil {
		return exitUsage, err
	}
	if len(a.ids) > 0 {
		return killByID(ctx, api, a.ids, std)
	}
	query := url.Values{}
	for key, values := range a.filter {
		query[key] = values
	}
	if a.all {
		query.Set("all", "true")
	}
	if a.limit > 0 {
		query.Set("limit", fmt.Sprint(a.limit))
	}
	var told struct{ Closed int }
	if err := api.call(ctx, http.MethodDelete, "/gopr/connections", query, &told); err != nil {
		return failed(err), err
	}
	fmt.Fprintf(std.out, "closed %s\n", plural(told.Closed, "connection"))
	if told.Closed == 0 {
		return exitNo, nil
	}
	return exitOK, nil
}

// killByID closes all that are there, and says which are not.
func killByID(ctx context.Context, api *admin, ids []string, std stdio) (int, error) {
	closed, code := 0, exitOK
	for _, id := range ids {
		var told struct{ Closed int }
		err := api.call(ctx, http.MethodDelete, "/gopr/connections/"+url.PathEscape(id), nil, &told)
		if err != nil && failed(err) == exitUsage {
			return exitUsage, err
		}
		if err != nil {
			fmt.Fprintln(std.err, err)
			code = exitNo
		}
		closed += told.Closed
	}
	fmt.Fprintf(std.out, "closed %s\n", plural(closed, "connection"))
	return code, nil
}
