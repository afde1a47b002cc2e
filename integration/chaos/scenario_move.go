package main

import (
	"context"
	"fmt"
	"net"
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
	board := &switchboard{addrs: addrs}
	devices := w.add(4, mixed, extendedAnswering, board.dial)
	stop := publish(devices, 10*time.Millisecond, qos12)
	for range moves {
		if !w.pauseFor(w.between(30*time.Millisecond, 150*time.Millisecond)) {
			return w.ctx.Err()
		}
		board.at.Add(1)
		for _, d := range devices {
			d.leave(w.rand.IntN(2) == 0)
		}
	}
	w.pauseFor(time.Second)
	stop()
	hellos := 0
	for _, d := range devices {
		hellos += d.status().hellos
	}
	out.note("each device moved", float64(moves), "times")
	out.atLeast("sessions resumed, for each device", float64(hellos)/float64(len(devices))-1, float64(moves)*0.95, "")
	return w.conclude(out)
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
			fenced = sum(all, "caddy_gopr_sessions_fenced_total")
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
