// Command chaos shows what the gateway promises of sessions and messages, by breaking all that can be broken: processes, connections, the network, and several at once.
//
//	./xcaddy.sh chaos [-only kill,storm] [-short] [-duration 10m] [-seed 1] [-json FILE] [-keep]
//
// Devices publish through gateways to backends, and backends answer through gateways to devices. Every message has a number. What was sent, acknowledged and received is
// written down at both ends, by programs that share no code with the gateway; at the end the two accounts are compared, and each message that was acknowledged and lost,
// came twice at QoS 2, or came out of order, is counted. docs/chaos.md says how to read the result.
//
// Everything is on loopback, bounded, and ends with the program; also the processes that it starts. A run has a seed, which decides what is broken and when; what the
// machine makes of it is never twice the same. The files:
//
//	main.go      the flags, and the run
//	world.go     what a scenario plays in
//	process.go   processes that are killed, paused and started again; system_*.go: what the system must do for that
//	gateway.go   Caddy: its configuration, admin API and metrics
//	proxy.go     a network that delays, stalls, loses and resets
//	frame.go     the protocol, written independently; hello.go: HELLO and WELCOME
//	device.go    a client that comes back; device_own.go: one of our own; device_sdk.go: the SDK
//	backend.go   a plain backend; backend_extended.go: one that speaks the extended protocol
//	journal.go   what backends remember
//	message.go   what is counted
//	ledger.go    what a device has published and received
//	check.go     the checker
//	fault.go     what is broken at random
//	mqtt.go      as much of MQTT as it takes to measure a broker
//	report.go    tables and JSON
//	scenario_*.go the scenarios
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
	only     string
	duration time.Duration
	short    bool
	seed     uint64
	json     string
	keep     bool
}

// A scenario is one thing that is broken, in a world of its own.
type scenario struct {
	name  string
	about string
	run   func(*world, *outcome) error
	long  bool // it is not for CI: short, it says nothing, or it takes long all the same
}

var scenarios = []scenario{
	{name: "kill", about: "the gateway is killed at random moments, again and again", run: runKill},
	{name: "move", about: "devices move between two gateways that share a Redis", run: runMove},
	{name: "pause", about: "the gateway that owns sessions is paused, overtaken, and wakes", run: runPause},
	{name: "storm", about: "everything at once, at random", run: runStorm},
	{name: "away", about: "the backend is away while a thousand devices publish", run: runAway},
	{name: "crowd", about: "thousands of clients come back in one second", run: runCrowd},
	{name: "flood", about: "ten million messages to a backend that is away", run: runFlood},
	{name: "idle", about: "what an idle session costs in memory", run: runIdle, long: true},
	{name: "throughput", about: "durable QoS 1, beside the store alone and beside mosquitto", run: runThroughput, long: true},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := func() error {
		if len(os.Args) > 1 && os.Args[1] == "backend" { // a process of this program's own
			return runBackend(ctx, os.Args[2:])
		}
		return run(ctx)
	}()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var o options
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.StringVar(&o.caddy, "caddy", "./caddy", "the binary, from ./xcaddy.sh build")
	flags.StringVar(&o.only, "only", "", "the scenarios to run, such as kill,storm; default: all")
	flags.DurationVar(&o.duration, "duration", 10*time.Minute, "of the storm; at most 1h")
	flags.BoolVar(&o.short, "short", false, "a few seconds of each scenario, as in CI")
	flags.Uint64Var(&o.seed, "seed", 1, "decides what is broken, and when")
	flags.StringVar(&o.json, "json", "", "file for the whole report")
	flags.BoolVar(&o.keep, "keep", false, "keep logs and journals, also where nothing failed")
	usage := flags.Usage
	flags.Usage = func() {
		usage()
		fmt.Fprintln(flags.Output(), "Scenarios:")
		for _, s := range scenarios {
			fmt.Fprintf(flags.Output(), "  %-12s%s\n", s.name, s.about)
		}
	}
	if err := flags.Parse(os.Args[1:]); err != nil {
		return err
	}
	chosen, err := o.chosen()
	if err != nil {
		return err
	}
	if o.duration <= 0 || o.duration > time.Hour {
		return fmt.Errorf("-duration %v: give a time up to 1h, such as 10m", o.duration)
	}
	if o.caddy, err = filepath.Abs(o.caddy); err != nil {
		return err
	}
	if _, err := os.Stat(o.caddy); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: build it with ./xcaddy.sh build", err)
	} else if err != nil {
		return err
	}
	var all []*outcome
	failed := 0
	for _, s := range chosen {
		out := o.play(ctx, s)
		out.print(os.Stdout)
		all = append(all, out)
		if !out.ok() {
			failed++
		}
		if ctx.Err() != nil {
			break
		}
	}
	if o.json != "" {
		if err := writeJSON(o.json, all); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d scenarios failed", failed, len(all))
	}
	return ctx.Err()
}

func (o *options) chosen() (all []scenario, err error) {
	if o.only == "" {
		return scenarios, nil
	}
	for _, name := range strings.Split(o.only, ",") {
		i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no scenario %q: see -help", name)
		}
		all = append(all, scenarios[i])
	}
	return all, nil
}

// play runs one scenario in a world of its own.
func (o *options) play(ctx context.Context, s scenario) *outcome {
	fmt.Fprintf(os.Stderr, "%s: %s\n", s.name, s.about)
	out := &outcome{Scenario: s.name, Seed: o.seed}
	w, err := newWorld(ctx, *o, s.name)
	if err == nil {
		began := time.Now()
		err = s.run(w, out)
		out.Seconds = time.Since(began).Seconds()
		for _, g := range w.gateways {
			if b, _ := os.ReadFile(g.output()); strings.Contains(string(b), "panic") {
				err = errors.Join(err, fmt.Errorf("there was a panic in %s: see %s", g.name, g.output()))
			}
		}
	}
	if err != nil {
		out.Error = err.Error()
	}
	if w != nil {
		w.close(o.keep || !out.ok())
	}
	return out
}
