package handler

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-gopr/caddy-gopr/internal/directive"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Route sends the frames with some commands to a group of backends of their own.
type Route struct {
	// The commands, each a number or a range such as `0x10-0x1F`.
	Cmd []string `json:"cmd,omitempty"`
	// The backends that these frames are carried to.
	Upstream *Upstream `json:"upstream,omitempty"`
}

const routeExample = "route cmd 0x10-0x1F { upstream 10.0.1.1:9000 }"

// unmarshalRoute reads a route. Syntax:
//
//	route cmd <command|first-last...> {
//		upstream …
//	}
func (h *Handler) unmarshalRoute(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) < 2 || args[0] != "cmd" {
		return d.Errf("route needs the commands that it is for: write it as `%s`", routeExample)
	}
	r := &Route{Cmd: args[1:]}
	h.Routes = append(h.Routes, r)
	return directive.Block(d, "route", directive.Options{
		"upstream": func(d *caddyfile.Dispenser) error {
			r.Upstream = new(Upstream)
			return r.Upstream.unmarshal(d)
		},
	})
}

// compileRoutes prepares the routes, in their order.
func (h *Handler) compileRoutes(s *settings) error {
	if len(h.Routes) == 0 {
		return nil
	}
	if s.format.Layout().Cmd.Size == 0 {
		return fmt.Errorf("route: frames of the format %s have no command to go by: remove the routes, or declare `cmd` with the format", s.format.Name())
	}
	taken := new(wire.CommandSet) // by the routes before
	for _, r := range h.Routes {
		t, err := h.compileRoute(s, r, taken)
		if err != nil {
			return fmt.Errorf("route cmd %s: %w", strings.Join(r.Cmd, " "), err)
		}
		s.routes = append(s.routes, t)
	}
	return nil
}

func (h *Handler) compileRoute(s *settings, r *Route, taken *wire.CommandSet) (*target, error) {
	ranges, err := commandRanges(r.Cmd)
	if err != nil {
		return nil, err
	}
	if len(ranges) == 0 {
		return nil, errors.New("no commands: name at least one, as in `" + routeExample + "`")
	}
	commands := wire.NewCommandSet(ranges...)
	if _, err := s.format.NewDecoder(wire.Rules{Commands: commands}); err != nil {
		return nil, err
	}
	switch {
	case covers(taken, commands):
		return nil, errors.New("routes before this one take all of its commands: put it before them, or remove it")
	case s.commands != nil && !overlap(s.commands, commands):
		return nil, fmt.Errorf("none of its commands is among those that `commands` allows, %v: add them there, or remove the route", s.commands)
	case r.Upstream == nil:
		return nil, errors.New("there is nowhere to send its frames: add `upstream host:port`")
	}
	taken.Add(ranges...)
	t, err := h.compileUpstream(s, r.Upstream, s.name+":"+strings.Join(r.Cmd, ","))
	if err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	t.commands = commands
	return t, nil
}

func commandRanges(words []string) (ranges []wire.CommandRange, err error) {
	for _, w := range words {
		r, err := wire.ParseCommandRange(w)
		if err != nil {
			return nil, err
		}
		ranges = append(ranges, r)
	}
	return ranges, nil
}

// covers says whether every command of some is one of all.
func covers(all, some *wire.CommandSet) bool {
	of := all.Ranges() // apart from each other, so a range lies in one of them or in none
	return !slices.ContainsFunc(some.Ranges(), func(r wire.CommandRange) bool {
		return !slices.ContainsFunc(of, func(o wire.CommandRange) bool { return o.First <= r.First && r.Last <= o.Last })
	})
}

// overlap says whether the sets have a command in common.
func overlap(a, b *wire.CommandSet) bool {
	of := a.Ranges()
	return slices.ContainsFunc(b.Ranges(), func(r wire.CommandRange) bool {
		return slices.ContainsFunc(of, func(o wire.CommandRange) bool { return o.First <= r.Last && r.First <= o.Last })
	})
}
