package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A world is what a scenario plays in: processes, proxies, devices. All of it ends with close.
type world struct {
	options
	dir  string
	rand *rand.Rand
	log  io.Writer

	gateways []*gateway
	redis    *process
	backends []*process
	proxies  []*proxy
	journals []string
	devices  []device

	ctx  context.Context // ends the devices
	end  context.CancelFunc
	live sync.WaitGroup
}

func newWorld(ctx context.Context, o options, name string) (*world, error) {
	dir, err := os.MkdirTemp("", "gopr-chaos-"+name+"-")
	if err != nil {
		return nil, err
	}
	w := &world{options: o, dir: dir, rand: rand.New(rand.NewPCG(o.seed, 0)), log: os.Stderr}
	w.ctx, w.end = context.WithCancel(ctx)
	return w, nil
}

// close ends everything. With keep, the directory with logs and journals stays.
func (w *world) close(keep bool) {
	w.end()
	w.live.Wait()
	for _, p := range w.proxies {
		p.close()
	}
	for _, g := range w.gateways {
		g.kill()
	}
	for _, p := range append(w.backends, w.redis) {
		if p != nil {
			p.kill()
		}
	}
	if keep {
		fmt.Fprintln(w.log, "logs and journals are in", w.dir)
		return
	}
	_ = os.RemoveAll(w.dir)
}

func (w *world) say(format string, args ...any) {
	fmt.Fprintf(w.log, "  "+format+"\n", args...)
}

// path is a file of this world.
func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// journal is the path of a journal, which the checker will read.
func (w *world) journal(name string) string {
	path := w.path(name)
	w.journals = append(w.journals, path)
	return path
}

// backend starts a backend, and returns its address.
func (w *world) backend(name string, args ...string) (addr string, err error) {
	addr, err = freeAddr()
	if err != nil {
		return "", err
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	p := &process{name: name, dir: w.dir, argv: append([]string{self, "backend", "-listen", addr}, args...)}
	w.backends = append(w.backends, p)
	if err := p.start(); err != nil {
		return "", err
	}
	return addr, p.await(addr)
}

// startRedis starts a Redis that has on disk what it has answered to, and returns its URL.
func (w *world) startRedis() (addr string, err error) {
	addr, err = freeAddr()
	if err != nil {
		return "", err
	}
	_, port, _ := net.SplitHostPort(addr)
	w.redis = &process{name: "redis", dir: w.dir, argv: []string{
		"redis-server", "--port", port, "--bind", "127.0.0.1",
		"--appendonly", "yes", "--appendfsync", "always", "--save", "", "--dir", w.dir,
	}}
	if err := w.redis.start(); err != nil {
		return "", err
	}
	return addr, w.redis.await(addr)
}

// spoil puts a proxy before an address.
func (w *world) spoil(addr string) (*proxy, error) {
	p, err := newProxy(addr)
	if err == nil {
		w.proxies = append(w.proxies, p)
	}
	return p, err
}

// twoRoutes are a handler before plain backends, and one before extended ones, with their sessions and messages in the store that store names for each.
func twoRoutes(plain, extended []string, store func(handler string) string) (toPlain, toExtended route, err error) {
	toPlain = route{Name: "plain", Backends: plain, Store: store("plain")}
	toExtended = route{Name: "extended", Backends: extended, Extended: true, Store: store("extended")}
	if toPlain.Addr, err = freeAddr(); err != nil {
		return toPlain, toExtended, err
	}
	toExtended.Addr, err = freeAddr()
	return toPlain, toExtended, err
}

// sqlite is a file for each handler.
func (w *world) sqlite(handler string) string { return "sqlite " + w.path(handler+".db") }

// always is one store for all handlers.
func always(store string) func(string) string { return func(string) string { return store } }

// gateway starts a gateway.
func (w *world) gateway(name string, routes ...route) (*gateway, error) {
	g, err := newGateway(w.caddy, w.dir, name, routes...)
	if g != nil {
		w.gateways = append(w.gateways, g)
	}
	return g, err
}

// add makes n devices that dial, and runs them.
func (w *world) add(n int, kind deviceKind, to backendKind, dial dialer) []device {
	devices := w.make(n, kind, to, dial)
	w.run(devices)
	return devices
}

// make makes devices, and does not run them yet.
func (w *world) make(n int, kind deviceKind, to backendKind, dial dialer) []device {
	first := len(w.devices)
	for i := range n {
		l := &ledger{device: uint32(first + i + 1), answers: to&answering != 0, answersAcked: to == extendedAnswering}
		if kind == sdk || kind == mixed && i%2 == 1 {
			w.devices = append(w.devices, newSDKDevice(l, dial))
		} else {
			w.devices = append(w.devices, newOwnDevice(l, dial))
		}
	}
	return w.devices[first:]
}

func (w *world) run(devices []device) {
	for _, d := range devices {
		w.live.Go(func() { d.run(w.ctx) })
	}
}

// backendKind is what a device's backend does with what comes down.
type backendKind uint8

const (
	silent            backendKind = 0
	answering         backendKind = 1 // each message with one
	extendedAnswering backendKind = 3 // and it is told when the gateway has that
)

// deviceKind is which clients they are.
type deviceKind uint8

const (
	own   deviceKind = iota // of this program alone
	sdk                     // of the SDK
	mixed                   // both, in turn
)

var kinds = []deviceKind{own, sdk}

// to dials one address, always.
func to(addr string) dialer {
	return func(ctx context.Context) (net.Conn, error) {
		d := net.Dialer{Timeout: 2 * time.Second}
		return d.DialContext(ctx, "tcp", addr)
	}
}

// publish has each device publish so often, with the QoS that qos returns for its n-th message, until the function that it returns is called.
func publish(devices []device, every time.Duration, qos func(n int) uint8) (stop func()) {
	over := make(chan struct{})
	var all sync.WaitGroup
	for _, d := range devices {
		all.Go(func() {
			// Each at a moment of its own.
			first := time.NewTimer(rand.N(every))
			defer first.Stop()
			select {
			case <-first.C:
			case <-over:
				return
			}
			ticker := time.NewTicker(every)
			defer ticker.Stop()
			for n := 0; ; n++ {
				d.publish(qos(n))
				select {
				case <-ticker.C:
				case <-over:
					return
				}
			}
		})
	}
	return func() {
		close(over)
		all.Wait()
	}
}

func qos1(int) uint8    { return 1 }
func qos12(n int) uint8 { return uint8(1 + n%2) }

// settle waits until all that was published is acknowledged, has arrived, and was answered where it is to be; or nothing moves any more. Then it says what came of it all.
func (w *world) settle(within time.Duration) (v verdict, took time.Duration, err error) {
	began, moved, before := time.Now(), time.Now(), -1
	for {
		h, err := readHistory(w.journals...)
		if err != nil {
			return v, 0, err
		}
		v = judge(w.ledgers(), h)
		if v.Up.Open+v.Up.Lost+v.Down.Open+v.Down.Lost == 0 {
			return v, time.Since(began), nil
		}
		if now := v.Up.Acknowledged + v.Up.Arrived + v.Down.Acknowledged + v.Down.Arrived; now != before {
			before, moved = now, time.Now()
		}
		if time.Since(began) > within || time.Since(moved) > within/2 {
			w.diagnose()
			return v, time.Since(began), nil
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-w.ctx.Done():
			return v, 0, w.ctx.Err()
		}
	}
}

// conclude settles, and has the report say what the checker found.
func (w *world) conclude(out *outcome) error {
	v, took, err := w.settle(time.Minute)
	if err != nil {
		return err
	}
	out.promises(v)
	out.note("until all was settled", took.Seconds(), "s")
	return nil
}

// diagnose says where devices are that have not had all acknowledged, and what gateways say of their sessions.
func (w *world) diagnose() {
	for _, g := range w.gateways {
		all, err := g.metrics()
		if err != nil {
			w.say("%s: %v", g.name, err)
		}
		for _, series := range slices.Sorted(maps.Keys(all)) {
			if strings.HasPrefix(series, "caddy_gopr_session") && all[series] > 0 {
				w.say("%s: %s %g", g.name, series, all[series])
			}
		}
	}
	said := 0
	for _, d := range w.devices {
		open := d.book().unacked()
		if open == 0 || said == 10 {
			continue
		}
		said++
		s := d.status()
		w.say("device %d has %d messages without an acknowledgement; connected: %v, after %d HELLOs; its last error: %v", d.book().device, open, s.connected, s.hellos, s.err)
	}
}

func (w *world) ledgers() (all []*ledger) {
	for _, d := range w.devices {
		all = append(all, d.book())
	}
	return all
}

// pauseFor waits, and returns false if the world ends meanwhile.
func (w *world) pauseFor(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-w.ctx.Done():
		return false
	}
}

// between is a random time.
func (w *world) between(from, to time.Duration) time.Duration {
	return from + time.Duration(w.rand.Int64N(int64(to-from)))
}

// isEnd says whether an error is only the end of a connection.
func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, errOvertaken)
}
