// Command bench measures the gateway beside what else could stand in its place: side by side, in one run and in turn, so that what the machine does meanwhile
// meets all alike.
//
//	./xcaddy.sh bench [-suite relay,tls,heartbeat,idle] [-only 50x32x64] [-rounds 5] [-duration 1s] [-json FILE] [-svg DIR]
//	./xcaddy.sh bench -compare REV
//
// The suites:
//
//	relay      between clients and an echo backend: the gateway with a link for each client (session) and with two links for all (request), caddy-l4's own
//	           proxy, HAProxy, nginx, a Go program that copies bytes, and the backend alone (direct)
//	tls        the same with TLS on the clients' side
//	heartbeat  PINGs answered: the gateway, a plain Go server, an epoll server in C, and the Go frameworks gnet and zinx
//	idle       resident memory for each connection that is open and does nothing
//
// Each peer is a process of its own; HAProxy and nginx have one worker. The load is `caddy gopr bench`, which compares every answer with its request. The median
// over the rounds is printed, and what there is in addition (every sample; the machine) is in the JSON. A sample during which other processes took more than 8 % of
// the processors is measured again, twice at the most.
//
// Everything is on loopback, bounded, and ends with it. The files:
//
//	main.go      the flags, and the run
//	suite.go     what is measured: suites, scenarios, samples
//	peer.go      a peer: its process, its processor time, its memory
//	peers.go     which peers there are, and how each is started
//	certificate.go for the suite tls
//	load.go      one run of the load generator, and the noise meanwhile
//	idle.go      connections that do nothing
//	syscalls.go  system calls for a frame, by perf
//	serve.go     peers that are part of this program
//	pong/        a peer in C
//	peers/       peers made with Go frameworks: a module of its own
//	report.go    tables and JSON
//	svg.go       plots
//	compare.go   the Go benchmarks of two revisions, by benchstat
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	caddy    string
	rounds   int
	duration time.Duration
	suites   string
	only     string
	peers    string
	json     string
	svg      string
	noisy    bool
}

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 5, "how often each is measured")
	flag.DurationVar(&o.duration, "duration", time.Second, "of each measurement; at most 1m")
	flag.StringVar(&o.suites, "suite", "relay,tls,heartbeat,idle", "the suites to run")
	flag.StringVar(&o.only, "only", "", "scenarios to run, such as 50x32x64,1x1x64 (connections, in flight, bytes) or, of idle, 10000; default: all")
	flag.StringVar(&o.peers, "peers", "", "peers to measure, such as request,haproxy; default: all that there are")
	flag.StringVar(&o.json, "json", "", "file for all samples")
	flag.StringVar(&o.svg, "svg", "", "directory for plots")
	flag.BoolVar(&o.noisy, "keep-noisy", false, "keep samples that other processes disturbed")
	flag.StringVar(&o.caddy, "caddy", "./caddy", "the binary, from ./xcaddy.sh build")
	compareTo := flag.String("compare", "", "a revision to compare the Go benchmarks with, instead of all else")
	serve := flag.String("serve", "", "be a peer of this kind; for the program's own use")
	listen := flag.String("listen", "", "for -serve: the address to listen on")
	backend := flag.String("backend", "", "for -serve: the address to dial")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := func() error {
		switch {
		case *serve != "":
			return servePeer(ctx, *serve, *listen, *backend)
		case *compareTo != "":
			return compare(ctx, *compareTo, o.rounds)
		default:
			return run(ctx, o)
		}
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	if o.caddy, err = filepath.Abs(o.caddy); err != nil {
		return err
	}
	if _, err := os.Stat(o.caddy); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: build it with ./xcaddy.sh build", err)
	} else if err != nil {
		return err
	}
	if o.rounds < 1 || o.duration <= 0 || o.duration > time.Minute {
		return fmt.Errorf("-rounds %d -duration %v: give at least one round, and a duration up to 1m", o.rounds, o.duration)
	}
	dir, err := os.MkdirTemp("", "gopr-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	r := report{Machine: machine(), Rounds: o.rounds, Duration: o.duration.String()}
	for _, name := range strings.Split(o.suites, ",") {
		i := slices.IndexFunc(suites, func(s *suite) bool { return s.name == name })
		if i < 0 {
			return fmt.Errorf("no suite %q: one of relay, tls, heartbeat, idle", name)
		}
		res, err := suites[i].run(ctx, o, dir)
		if err != nil {
			return err
		}
		r.Suites = append(r.Suites, res)
	}
	if !slices.ContainsFunc(r.Suites, func(s *result) bool { return len(s.Scenarios) > 0 }) {
		return fmt.Errorf("no scenario %q in %s", o.only, o.suites)
	}
	if o.svg != "" {
		if err := r.plot(o.svg); err != nil {
			return err
		}
	}
	if o.json != "" {
		return r.write(o.json)
	}
	return nil
}
