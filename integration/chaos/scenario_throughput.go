package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A load is how much is published: by so many, of whom each has so many messages unacknowledged.
type load struct {
	clients, window, size int
	warm, measured        time.Duration
}

// A rate is what a load came to.
type rate struct {
	perSecond float64
	p50, p99  time.Duration
}

func (r rate) report(out *outcome, name string) {
	out.note(name+": acknowledged", r.perSecond, "/s")
	out.note(name+": p50", ms(r.p50), "ms")
	out.note(name+": p99", ms(r.p99), "ms")
}

// runThroughput measures durable QoS 1 with SQLite, beside what the store itself can do, and beside mosquitto with persistence: in turn, in one run. Once with devices that wait for
// each acknowledgement before they publish again, and once with devices that keep the whole window in flight.
func runThroughput(w *world, out *outcome) error {
	for _, window := range []int{1, 64} {
		l := load{clients: 200, window: window, size: 64, warm: 2 * time.Second, measured: 8 * time.Second}
		rounds := 2
		if w.short {
			l.clients, l.warm, l.measured, rounds = 20, 200*time.Millisecond, time.Second, 1
		}
		if err := w.compare(out, l, rounds); err != nil {
			return err
		}
	}
	return nil
}

// compare has each way carry the load, in turn, and takes the median of the rounds.
func (w *world) compare(out *outcome, l load, rounds int) error {
	ways := []struct {
		name string
		run  func(load, string) (rate, error)
	}{
		{"store alone", w.storeCeiling},
		{"gateway", w.gatewayRate},
		{"mosquitto that saves each change", w.mosquittoRate(true)},
		{"mosquitto that saves each 30 min", w.mosquittoRate(false)},
	}
	results := make([][]rate, len(ways))
	for round := range rounds {
		for i, way := range ways {
			r, err := way.run(l, w.path(fmt.Sprintf("%d-%d-%d", l.window, round, i)))
			if err != nil {
				return fmt.Errorf("%s: %w", way.name, err)
			}
			w.say("%d in flight, %s: %.0f/s, p50 %v, p99 %v", l.window, way.name, r.perSecond, r.p50, r.p99)
			results[i] = append(results[i], r)
		}
	}
	out.note("devices", float64(l.clients), "")
	out.note("each with messages in flight", float64(l.window), "")
	var medians []rate
	for i, way := range ways {
		slices.SortFunc(results[i], func(a, b rate) int { return cmp.Compare(a.perSecond, b.perSecond) })
		m := results[i][len(results[i])/2]
		m.report(out, way.name)
		medians = append(medians, m)
	}
	if w.short { // too short to compare
		return nil
	}
	for i, way := range ways {
		if i == 1 {
			continue
		}
		name, share, least := way.name, medians[1].perSecond/medians[i].perSecond, 1.0
		if i == 0 {
			least = 0.5
		}
		if l.window == 1 { // what a device that waits for each acknowledgement gets is a matter of latency: it is told, and promised nothing
			out.note("gateway, of "+name, share, "")
			continue
		}
		out.atLeast("gateway, of "+name, share, least, "")
	}
	return nil
}

// gatewayRate publishes through the gateway to a plain backend.
func (w *world) gatewayRate(l load, dir string) (r rate, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return r, err
	}
	sub := &world{options: w.options, dir: dir, rand: w.rand, log: w.log}
	sub.ctx, sub.end = context.WithCancel(w.ctx)
	defer sub.close(false)
	addr, err := sub.backend("plain", "-journal", sub.journal("plain.journal"))
	if err != nil {
		return r, err
	}
	way, _, err := twoRoutes([]string{addr}, nil, sub.sqlite)
	if err != nil {
		return r, err
	}
	if _, err := sub.gateway("gateway", way); err != nil {
		return r, err
	}
	devices := sub.make(l.clients, own, silent, to(way.Addr))
	sub.run(devices)
	var filling sync.WaitGroup
	for _, d := range devices {
		filling.Go(func() { d.(*ownDevice).keepFull(sub.ctx, l.window, 1) })
	}
	sub.pauseFor(l.warm)
	from := time.Now()
	sub.pauseFor(l.measured)
	to := time.Now()
	sub.end()
	filling.Wait()
	sub.live.Wait()
	return rateOf(sub.ledgers(), from, to), nil
}

// rateOf counts what was acknowledged within a time.
func rateOf(ledgers []*ledger, from, to time.Time) (r rate) {
	var took []time.Duration
	for _, l := range ledgers {
		for _, s := range l.sent {
			if s.acked >= from.UnixNano() && s.acked < to.UnixNano() {
				took = append(took, time.Duration(s.acked-s.at))
			}
		}
	}
	slices.Sort(took)
	return rate{float64(len(took)) / to.Sub(from).Seconds(), percentile(took, 0.5), percentile(took, 0.99)}
}

// keepFull keeps so many messages open until ctx ends.
func (d *ownDevice) keepFull(ctx context.Context, window int, qos uint8) {
	for {
		d.mu.Lock()
		if d.stream != nil && len(d.open) < window {
			now := time.Now()
			for len(d.open) < window {
				d.open = append(d.open, &outgoing{message: d.ledger.publish(qos, now)})
			}
			d.fill()
			d.flush()
		}
		d.mu.Unlock()
		select {
		case <-d.spent:
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return
		}
	}
}

// mosquittoRate publishes to a subscriber through mosquitto, with a topic for each client.
func (w *world) mosquittoRate(eachChange bool) func(load, string) (rate, error) {
	return func(l load, dir string) (r rate, err error) {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return r, err
		}
		addr, err := freeAddr()
		if err != nil {
			return r, err
		}
		_, port, _ := net.SplitHostPort(addr)
		conf := fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location %s/\nmax_queued_messages 0\nmax_inflight_messages 1000\nset_tcp_nodelay true\n", port, dir)
		if eachChange {
			conf += "autosave_on_changes true\nautosave_interval 1\n"
		}
		if os.Getuid() == 0 {
			conf += "user root\n"
		}
		if err := os.WriteFile(dir+"/mosquitto.conf", []byte(conf), 0o600); err != nil {
			return r, err
		}
		p := &process{name: "mosquitto", dir: dir, argv: []string{"mosquitto", "-c", dir + "/mosquitto.conf"}}
		if err := p.start(); err != nil {
			return r, err
		}
		defer p.kill()
		if err := p.await(addr); err != nil {
			return r, err
		}
		sub, err := dialMQTT(addr, "backend")
		if err != nil {
			return r, err
		}
		if err := sub.subscribe("devices/#"); err != nil {
			return r, err
		}
		var draining sync.WaitGroup
		var arrived atomic.Int64
		draining.Go(func() { _ = sub.drain(func() { arrived.Add(1) }) })
		defer draining.Wait()
		defer sub.Close()

		ctx, cancel := context.WithCancel(w.ctx)
		defer cancel()
		ledgers := make([]*ledger, l.clients)
		errs := make(chan error, l.clients)
		var all sync.WaitGroup
		for i := range ledgers {
			ledgers[i] = &ledger{device: uint32(i + 1)}
			c, err := dialMQTT(addr, clientID(uint32(i+1)))
			if err != nil {
				return r, err
			}
			defer c.Close()
			all.Go(func() {
				defer context.AfterFunc(ctx, func() { _ = c.Close() })()
				if err := publishMQTT(c, ledgers[i], l); ctx.Err() == nil {
					errs <- err
				}
			})
		}
		w.pauseFor(l.warm)
		from, before := time.Now(), arrived.Load()
		w.pauseFor(l.measured)
		to := time.Now()
		w.say("mosquitto delivered %.0f/s to its subscriber", float64(arrived.Load()-before)/to.Sub(from).Seconds())
		cancel()
		all.Wait()
		select {
		case err := <-errs:
			return r, err
		default:
			return rateOf(ledgers, from, to), nil
		}
	}
}

// publishMQTT keeps the window full until the connection ends.
func publishMQTT(c *mqttConn, l *ledger, o load) error {
	topic := "devices/" + clientID(l.device)
	numbers := make(map[uint16]uint32) // by id
	id := uint16(0)
	for {
		now := time.Now()
		for len(numbers) < o.window {
			if id++; id == 0 {
				id = 1
			}
			m := l.publish(1, now)
			numbers[id] = m.number
			c.publish(topic, id, m.append(nil, o.size))
		}
		if err := c.flush(); err != nil {
			return err
		}
		for first := true; first || c.r.Buffered() > 0; first = false {
			kind, body, err := c.next()
			if err != nil {
				return err
			}
			if kind&0xF0 == mqttPuback && len(body) == 2 {
				id := binary.BigEndian.Uint16(body)
				l.ack(numbers[id], time.Now())
				delete(numbers, id)
			}
		}
	}
}
