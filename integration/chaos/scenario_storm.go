package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"time"
)

// cluster is two gateways that share a Redis, before two plain backends and two extended ones, with a proxy on every way.
type cluster struct {
	gateways            [2]*gateway
	toPlain, toExtended [2]string // the addresses of the gateways' proxies
	proxies             map[string]*proxy
}

// newCluster starts all of it.
func (w *world) newCluster() (*cluster, error) {
	c := &cluster{proxies: make(map[string]*proxy)}
	spoil := func(name, addr string) (string, error) {
		p, err := w.spoil(addr)
		if err != nil {
			return "", err
		}
		c.proxies[name] = p
		return p.addr, nil
	}
	redis, err := w.startRedis()
	if err != nil {
		return nil, err
	}
	plainJournal, extendedJournal := w.journal("plain.journal"), w.journal("extended.journal")
	var plain, extended []string
	for i := range 2 {
		a, err := w.backend(fmt.Sprint("plain", i+1), "-answer", "-journal", plainJournal)
		if err != nil {
			return nil, err
		}
		if a, err = spoil(fmt.Sprint("network to plain", i+1), a); err != nil {
			return nil, err
		}
		plain = append(plain, a)
		if a, err = w.backend(fmt.Sprint("extended", i+1), "-extended", "-answer", "-journal", extendedJournal); err != nil {
			return nil, err
		}
		if a, err = spoil(fmt.Sprint("network to extended", i+1), a); err != nil {
			return nil, err
		}
		extended = append(extended, a)
	}
	for i := range c.gateways {
		name := fmt.Sprint("gateway", i+1)
		store, err := spoil("network from "+name+" to redis", redis)
		if err != nil {
			return nil, err
		}
		r1, r2, err := twoRoutes(plain, extended, always("redis redis://"+store+"/0"))
		if err != nil {
			return nil, err
		}
		if c.gateways[i], err = w.gateway(name, r1, r2); err != nil {
			return nil, err
		}
		if c.toPlain[i], err = spoil("network to "+name+", plain", r1.Addr); err != nil {
			return nil, err
		}
		if c.toExtended[i], err = spoil("network to "+name+", extended", r2.Addr); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// either dials one of two addresses, by chance.
func either(addrs [2]string) dialer {
	return func(ctx context.Context) (net.Conn, error) { return to(addrs[rand.IntN(2)])(ctx) }
}

// runStorm breaks all that there is, at random and several at once.
func runStorm(w *world, out *outcome) error {
	duration, longest, calm := w.duration, 20*time.Second, 15*time.Second // calm: after the last fault
	if w.short {
		duration, longest, calm = 4*time.Second, 2*time.Second, 4*time.Second
	}
	c, err := w.newCluster()
	if err != nil {
		return err
	}
	const each, every = 20, 200 * time.Millisecond
	one := w.add(each, mixed, answering, either(c.toPlain))
	two := w.add(each, mixed, extendedAnswering, either(c.toExtended))
	stopOne := publish(one, every, qos1)
	stopTwo := publish(two, every, qos12)

	if err := waitFor("every device has a session", patience, func() bool {
		return !slices.ContainsFunc(w.devices, func(d device) bool { return d.status().hellos == 0 })
	}); err != nil {
		return err
	}

	var all []fault
	for i, g := range c.gateways {
		all = append(all, w.faultsOf(g.name, g.process, g.restart, longest)...)
		all = append(all,
			fault{g.name, "its connections are closed by the admin API", 2, func() (time.Duration, func() error, error) {
				_, err := g.killConnections(20)
				return 0, nil, err
			}},
			fault{g.name, "reload", 2, func() (time.Duration, func() error, error) {
				return 0, nil, g.reload(i + w.rand.IntN(5000))
			}})
	}
	for _, b := range w.backends {
		all = append(all, w.faultsOf(b.name, b, b.start, longest/4)...)
	}
	all = append(all, w.faultsOf("redis", w.redis, w.redis.start, longest/8)...)
	for name, p := range c.proxies {
		all = append(all, w.faultsOn(name, p)...)
	}
	sortFaults(all)
	healed, timeline, err := w.strike(all, 4, duration)
	out.Timeline = timeline
	if err != nil {
		return err
	}
	w.pauseFor(calm)
	end := time.Now()
	stopOne()
	stopTwo()
	out.note("faults", float64(len(timeline)), "struck and mended")
	after, ok := recovery(w.ledgers(), healed, end)
	if !ok {
		after = end.Sub(healed)
	}
	out.atMost("99.9 % acknowledged within 1 s again after", after.Seconds(), 5, "s")
	return w.conclude(out)
}
