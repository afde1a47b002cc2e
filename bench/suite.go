package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
)

// scenario is how many connections keep how many requests of how many bytes on their way; in the suite idle, connections alone.
type scenario struct{ conns, inflight, payload int }

func (s scenario) String() string {
	if s.inflight == 0 {
		return fmt.Sprint(s.conns)
	}
	return fmt.Sprintf("%dx%dx%d", s.conns, s.inflight, s.payload)
}

// title says it in words.
func (s scenario) title() string {
	if s.inflight == 0 {
		return fmt.Sprintf("%d idle connections", s.conns)
	}
	return fmt.Sprintf("%d connections, %d in flight on each, payloads of %d bytes", s.conns, s.inflight, s.payload)
}

// suite is a set of scenarios that the same peers go through.
type suite struct {
	name      string
	base      string // the peer that the ratios are to
	scenarios []scenario
	kinds     []kind
	cmd       string   // of the requests
	secure    bool     // with TLS
	syscalls  scenario // in which system calls are counted, too
}

var suites = []*suite{
	{
		name: "relay", base: "haproxy", cmd: "0x10",
		scenarios: []scenario{{1, 1, 64}, {50, 1, 64}, {50, 32, 64}, {1000, 1, 64}, {1000, 32, 64}, {50, 8, 4096}, {8, 4, 60000}},
		kinds:     []kind{direct, caddyProxy, haproxy, nginx, splice, session, request},
		syscalls:  scenario{1000, 1, 64},
	},
	{
		name: "tls", base: "haproxy", cmd: "0x10", secure: true,
		scenarios: []scenario{{50, 1, 64}, {50, 32, 64}},
		kinds:     []kind{caddyProxy, haproxy, nginx, session, request},
	},
	{
		name: "heartbeat", base: "c", cmd: "0x01",
		scenarios: []scenario{{1000, 1, 64}, {50, 32, 64}},
		kinds:     []kind{cServer, goServer, gnetServer, zinxServer, terminator},
	},
	{
		name: "idle", base: "haproxy",
		scenarios: []scenario{{9500, 0, 0}, {19500, 0, 0}},
		kinds:     []kind{caddyProxy, haproxy, nginx, cServer, goServer, gnetServer, zinxServer, session, request, terminator},
	},
}

// run measures all scenarios that are asked for.
func (s *suite) run(ctx context.Context, o options, dir string) (*result, error) {
	res := &result{Suite: s.name, Base: s.base}
	var asked []scenario
	for _, sc := range s.scenarios {
		if o.only == "" || slices.Contains(strings.Split(o.only, ","), sc.String()) {
			asked = append(asked, sc)
		}
	}
	if len(asked) == 0 {
		return res, nil
	}
	var f fleet
	defer f.stop()
	if s.name == "idle" {
		return res, s.idle(ctx, o, dir, asked, res, &f)
	}
	peers, err := s.start(ctx, o, dir, &f)
	if err != nil {
		return nil, err
	}
	for _, sc := range asked {
		into := newSeries(sc)
		for round := range o.rounds {
			for i := range peers { // each round begins with another
				p := peers[(i+round)%len(peers)]
				m, err := f.measure(ctx, o, s, sc, p)
				if err != nil {
					return nil, fmt.Errorf("%v through %s, round %d: %w", sc, p.name, round+1, err)
				}
				into.Samples[p.name] = append(into.Samples[p.name], m)
			}
			fmt.Fprintf(os.Stderr, "%s %v: round %d of %d\n", s.name, sc, round+1, o.rounds)
		}
		if sc == s.syscalls {
			if err := f.countSyscalls(ctx, o, s, peers, into); err != nil {
				fmt.Fprintln(os.Stderr, "system calls are not counted:", err)
			}
		}
		for _, p := range peers {
			into.Peers = append(into.Peers, p.name)
		}
		res.Scenarios = append(res.Scenarios, into)
		res.table(os.Stdout, into)
	}
	return res, nil
}
