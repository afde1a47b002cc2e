package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/caddy-gopr/caddy-gopr/queue"
	queuememory "github.com/caddy-gopr/caddy-gopr/queue/memory"
	"github.com/caddy-gopr/caddy-gopr/session"
	sessionmemory "github.com/caddy-gopr/caddy-gopr/session/memory"
	"github.com/caddy-gopr/caddy-gopr/upstream"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// app is a command of the application.
const app = 0x20

// world is stores that outlive services, a backend, and a service.
type world struct {
	t        *testing.T
	sessions session.Store
	queue    queue.Store
	backend  *backend
	settings Settings
	owner    int
	v        *Service
	plug     *plug      // of v
	dead     []*Service // their plugs are pulled
	local    session.Store

	mu     sync.Mutex
	events []Event
}

// inWorld runs a test in a bubble of its own.
func inWorld(t *testing.T, s Settings, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if s.Park == 0 {
			s.Park = 30 * time.Second
		}
		if s.MaxRetries == 0 {
			s.MaxRetries = 3
		}
		s.Downlink = 1
		w := &world{t: t, sessions: sessionmemory.Open(sessionmemory.Options{}), queue: queuememory.New(s.Bounds, nil), settings: s}
		w.backend = &backend{t: t, seen: make(map[string]int), hop: s.Extended, has: make(map[string]uint64)}
		w.backend.up.Store(true)
		w.start()
		defer w.backend.wg.Wait()
		defer w.sessions.Close()
		defer w.queue.Close()
		defer func() {
			for _, v := range append(w.dead, w.v) {
				v.Close()
			}
		}()
		f(w)
	})
}

// start begins a service: as if another process.
func (w *world) start() {
	w.owner++
	w.plug = new(plug)
	plug := w.plug
	v, err := NewService(Config{
		Name: "test", Owner: fmt.Sprint("owner ", w.owner), Sessions: pluggedSessions{w.sessions, w.plug}, Queue: pluggedQueue{w.queue, w.plug}, Local: w.local, Strays: func() bool { return true },
		Lease: func(p upstream.LinkPeer, c upstream.Client) (upstream.Lease, func(), error) {
			if plug.pulled.Load() {
				return nil, nil, errUnplugged // the dead make no links
			}
			return w.backend.lease(p, c)
		},
		Notify: func(e Event) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, e)
		},
	}, w.settings)
	if err != nil {
		w.t.Fatal(err)
	}
	w.v = v
	synctest.Wait()
}

// crash has the service die without a word, and another begin. Its links die with it.
func (w *world) crash() {
	w.plug.pull()
	w.dead = append(w.dead, w.v)
	for _, l := range w.backend.all() {
		l.silence()
	}
	w.start()
}

// device is a client that speaks by hand.
type device struct {
	w       *world
	s       *Session
	welcome *Welcome
	hello   wire.Welcome

	mu      sync.Mutex
	in      []byte // what came
	full    bool   // what Write returns
	resumed int
	ended   error
}

func (d *device) Write(frames []byte, n int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.in = append(d.in, frames...)
	return d.full
}

func (d *device) Resume() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.resumed++
}

func (d *device) From() upstream.Client { return upstream.Client{Source: d} }

// Network and String make the device its own address.
func (d *device) Network() string { return "device" }
func (d *device) String() string  { return "device" }

func (d *device) End(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended != nil {
		d.w.t.Errorf("ended twice: %v, then %v", d.ended, err)
	}
	d.ended = err
}

func (d *device) endedFor() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ended
}

// hello has a client come, with the token of an earlier connection of its, if there is one.
func (w *world) hello(client string, before *device) *device {
	w.t.Helper()
	d, err := w.try(client, before)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

func (w *world) try(client string, before *device) (*device, error) {
	w.t.Helper()
	d := &device{w: w}
	h := Hello{Client: client, Wanted: capabilities, Expiry: time.Hour, From: d.From()}
	if before != nil {
		h.Token = before.hello.Token
	}
	s, welcome, err := w.v.Hello(context.Background(), h)
	if err != nil {
		return nil, err
	}
	var f wire.Frame
	if _, err := decoder.Next(welcome.Frame, &f); err != nil {
		w.t.Fatal(err)
	}
	var ok bool
	if d.hello, ok = wire.ParseWelcome(bytes.Clone(f.Payload)); !ok {
		w.t.Fatalf("a WELCOME that does not parse: %x", welcome.Frame)
	}
	d.s, d.welcome = s, welcome
	if !s.Attach(d, welcome) {
		return nil, errors.New("not attached")
	}
	synctest.Wait()
	return d, nil
}

// say has the device send frames, in one piece.
func (d *device) say(frames ...[]byte) error {
	var f wire.Frame
	for _, b := range frames {
		if _, err := decoder.Next(b, &f); err != nil {
			d.w.t.Fatal(err)
		}
		if err := d.s.Take(d, time.Now(), &f); err != nil {
			d.s.Detach(d)
			synctest.Wait()
			return err
		}
	}
	d.s.Flush(d, time.Now())
	synctest.Wait()
	return nil
}

// must is say that goes well.
func (d *device) must(frames ...[]byte) {
	d.w.t.Helper()
	if err := d.say(frames...); err != nil {
		d.w.t.Fatal(err)
	}
}

func (d *device) leave() {
	d.s.Detach(d)
	synctest.Wait()
}

// publish is a message as a client sends it.
func publish(id uint32, qos uint8, text string) []byte {
	b, err := wire.AppendExt(nil, app, &wire.Ext{QoS: qos, ID: id, Payload: []byte(text)})
	if err != nil {
		panic(err)
	}
	return b
}

func again(b []byte) []byte {
	b = bytes.Clone(b)
	wire.SetDup(b)
	return b
}

func ack(cmd uint8, id uint32) []byte { return wire.AppendAck(nil, cmd, id) }

// got returns what has come since the last call, a word for each frame.
func (d *device) got() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	words := say(d.in)
	d.in = nil
	return words
}

// say puts frames into words.
func say(b []byte) (words []string) {
	var f wire.Frame
	for len(b) > 0 {
		n, err := decoder.Next(b, &f)
		if n == 0 || err != nil {
			return append(words, fmt.Sprintf("broken %x", b))
		}
		b = b[n:]
		words = append(words, word(&f))
	}
	return words
}

func word(f *wire.Frame) string {
	names := map[uint8]string{wire.CmdPubAck: "ack", wire.CmdPubRec: "rec", wire.CmdPubRel: "rel", wire.CmdPubComp: "comp"}
	cmd := uint8(f.Cmd)
	if name := names[cmd]; name != "" {
		id, _ := wire.ParseAck(f.Payload)
		return fmt.Sprint(name, " ", id)
	}
	switch {
	case cmd == wire.CmdError:
		e, _ := wire.ParseError(f)
		return fmt.Sprint("error ", uint16(e.Code), " ", e.ID)
	case cmd < wire.CmdApp:
		return fmt.Sprintf("command %x", cmd)
	}
	e, err := wire.ParseExt(f)
	if err != nil {
		return err.Error()
	}
	w := fmt.Sprintf("%s@%d", e.Payload, e.QoS)
	if e.ID != 0 {
		w = fmt.Sprintf("%d:%s", e.ID, w)
	}
	switch e.Flag {
	case wire.FlagReq:
		w += "?"
	case wire.FlagRsp:
		w += "!"
	}
	if e.Dup {
		w += " dup"
	}
	return w
}

func wants[T comparable](t *testing.T, what string, got []T, want ...T) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}
