package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

type drainArgs struct {
	adminArgs
	handler      string // "": all
	grace, drain string // "": as the configuration says
	cancel       bool   // let clients in again
}

// drain sends clients away, or lets them in again.
func drain(ctx context.Context, a drainArgs, std stdio) (int, error) {
	if a.cancel && (a.grace != "" || a.drain != "") {
		return exitUsage, errors.New("--cancel lets clients in again: leave --grace and --drain out")
	}
	api, err := a.find()
	if err != nil {
		return exitUsage, err
	}
	query := url.Values{}
	for key, value := range map[string]string{"handler": a.handler, "grace": a.grace, "drain": a.drain} {
		if value != "" {
			query.Set(key, value)
		}
	}
	method := http.MethodPost
	if a.cancel {
		method = http.MethodDelete
	}
	var told struct {
		Handlers []struct {
			Handler     string `json:"handler"`
			Connections int    `json:"connections"`
		} `json:"handlers"`
		Grace float64 `json:"grace_seconds"`
		Drain float64 `json:"drain_seconds"`
	}
	if err := api.call(ctx, method, "/gopr/drain", query, &told); err != nil {
		return failed(err), err
	}
	if len(told.Handlers) == 0 {
		fmt.Fprintln(std.out, "there was nothing to do")
		return exitNo, nil
	}
	for _, h := range told.Handlers {
		if a.cancel {
			fmt.Fprintf(std.out, "%s lets clients in again, beside %s\n", h.Handler, plural(h.Connections, "connection"))
			continue
		}
		fmt.Fprintf(std.out, "%s: %s to be closed over %s, after %s\n", h.Handler, plural(h.Connections, "connection"), seconds(told.Drain), seconds(told.Grace))
	}
	return exitOK, nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
