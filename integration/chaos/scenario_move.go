package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// pairOfGateways are two gateways that share a Redis, before one extended backend.
func (w *world) pairOfGateways() (gateways [2]*gateway, addrs [2]string, err error) {
	redis, err := w.startRedis()
	if err != nil {
		return gateways, addrs, err
	}
	backend, err := w.backend("extended", "-extended", "-answer", "-journal", w.journal("extended.journal"))
	if err != nil {
		return gateways, addrs, err
	}
	for i := range gateways {
		_, r, err := twoRoutes(nil, []string{backend}, always("redis redis://"+redis+"/0"))
		if err != nil {
			return gateways, addrs, err
		}
		if gateways[i], err = w.gateway(fmt.Sprint("gateway", i+1), r); err != nil {
			return gateways, addrs, err
		}
		addrs[i] = r.Addr
	}
	return gateways, addrs, nil
}

// A switchboard dials one of two addresses, for all devices.
type switchboard struct {
	addrs [2]string
	at    atomic.Int64
}

func (s *switchboard) dial(ctx context.Context) (net.Conn, error) {
	return to(s.addrs[s.at.Load()%2])(ctx)
}

// runMove has devices go from one gateway to the other and back, under traffic both ways: half of the time before the old gateway knows that they are gone.
func runMove(w *world, out *outcome) error {
	moves := 1000
	if w.short {
		moves = 20
	}
	_, addrs, err := w.pairOfGateways()
	if err != nil {
		return err
	}
	const n = 4
	var devices []device
	boards := make([]*switchboard, n)
	for i := range boards {
		boards[i] = &switchboard{addrs: addrs}
		devices = append(devices, w.add(1, kinds[i%len(kinds)], extendedAnswering, boards[i].dial)...)
	}
	stop := publish(devices, 10*time.Millisecond, qos12)
	errs := make([]error, n)
	var moving sync.WaitGroup
	for i, d := range devices {
		r := rand.New(rand.NewPCG(w.seed, uint64(i)))
		moving.Go(func() { errs[i] = w.move(d, boards[i], moves, r) })
	}
	moving.Wait()
	if err := errors.Join(errs...); err != nil {
		w.diagnose()
		return err
	}
	w.pauseFor(time.Second)
	stop()
	out.note("devices", n, "")
	out.note("each moved", float64(moves), "times")
	return w.conclude(out)
}

// move moves a device so often: each time when it has been served at the other gateway for a moment.
func (w *world) move(d device, board *switchboard, moves int, r *rand.Rand) error {
	served := func(since int) error {
		return waitFor(fmt.Sprintf("device %d is welcome", d.book().device), patience, func() bool {
			s := d.status()
			return s.connected && s.hellos > since || w.ctx.Err() != nil
		})
	}
	if err := served(0); err != nil {
		return err
	}
	for range moves {
		if !w.pauseFor(time.Duration(20+r.IntN(80)) * time.Millisecond) {
			return w.ctx.Err()
		}
		before := d.status().hellos
		board.at.Add(1)
		d.leave(r.IntN(2) == 0)
		if err := served(before); err != nil {
			return err
		}
	}
	return nil
}

// runPause pauses the gateway that owns sessions, has their devices go on at the other one, and lets it run again: what it still wants to write must be refused.
func runPause(w *world, out *outcome) error {
	rounds, paused := 5, 20*time.Second
	if w.short {
		rounds, paused = 1, 2*time.Second
	}
	gateways, addrs, err := w.pairOfGateways()
	if err != nil {
		return err
	}
	board := &switchboard{addrs: addrs}
	devices := w.add(20, mixed, extendedAnswering, board.dial)
	stop := publish(devices, 20*time.Millisecond, qos12)
	fenced := 0.0
	for range rounds {
		if !w.pauseFor(time.Second) {
			return w.ctx.Err()
		}
		owner := gateways[board.at.Load()%2]
		if err := owner.pause(); err != nil {
			return err
		}
		// Until the devices leave, they publish into the socket of a gateway that does not read: it will, when it wakes.
		w.pauseFor(500 * time.Millisecond)
		board.at.Add(1)
		for _, d := range devices {
			d.leave(true)
		}
		w.pauseFor(paused)
		if err := owner.carryOn(); err != nil {
			return err
		}
		if err := waitFor("the gateway that wakes finds that its sessions have another owner", patience, func() bool {
			all, err := owner.metrics()
			if err != nil {
				return false
			}
			fenced = sum(all, "caddy_gopr_session_fenced_total")
			return fenced > 0
		}); err != nil {
			return err
		}
	}
	w.pauseFor(time.Second)
	stop()
	out.note("the owner was paused", float64(rounds), "times")
	out.atLeast("sessions that the fence refused it, last", fenced, 1, "")
	return w.conclude(out)
}
