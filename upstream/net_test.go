package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caddy-gopr/caddy-gopr/client"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.Cleanup(weightless)) }

// weightless: when all has ended, nothing is held, in the books either.
func weightless(code int) {
	if n := Held(); n != 0 && code == 0 {
		fmt.Printf("%d bytes are held by nobody\n", n)
		code = 1
	}
	os.Exit(code)
}

var errRefused = errors.New("connection refused")

// steady are reconnects without chance, so that times can be compared: 1 s, 1.5 s, 2.25 s, 3.375 s, and a pause.
var steady = client.Reconnect{Jitter: -1}

// network is a network in memory, and the backends in it by their addresses. Its Dial is a Config.Dial.
type network map[string]*server

// newNetwork makes one with a backend at each address, which echoes.
func newNetwork(addrs ...string) network {
	n := make(network)
	for _, a := range addrs {
		n[a] = &server{up: true, behave: (*visit).echo}
	}
	return n
}

func (n network) Dial(ctx context.Context, _, addr string) (net.Conn, error) {
	return n[addr].dial(ctx)
}

func (n network) addrs() (all []string) {
	for a := range n {
		all = append(all, a)
	}
	slices.Sort(all)
	return all
}

// group starts a group of all backends, and closes it at the end of the test.
func (n network) group(t testing.TB, c Config) *Group {
	t.Helper()
	c.Dial = n.Dial
	if c.Backends == nil {
		c.Backends = n.addrs()
	}
	if c.Reconnect == (client.Reconnect{}) {
		c.Reconnect = steady
	}
	return newGroup(t, c)
}

func newGroup(t testing.TB, c Config) *Group {
	t.Helper()
	g, err := NewGroup(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

// server is a backend.
type server struct {
	mu       sync.Mutex
	up       bool          // else dials are refused
	delay    time.Duration // that a dial takes
	behave   func(*visit)  // what a connection meets
	dials    []dialling
	dialling int
	visits   []*visit
}

// dialling is a dial: when it began, and how many there were then, itself included.
type dialling struct {
	at time.Time
	n  int
}

func (s *server) dial(ctx context.Context) (net.Conn, error) {
	s.mu.Lock()
	s.dialling++
	s.dials = append(s.dials, dialling{time.Now(), s.dialling})
	delay := s.delay
	s.mu.Unlock()
	err := ctx.Err()
	if delay > 0 { // or many a timer would be due at once: in a bubble, under the race detector, that can crash Go 1.26's runtime
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialling--
	switch {
	case err != nil:
		return nil, err
	case !s.up:
		return nil, errRefused
	}
	ours, theirs := net.Pipe()
	v := &visit{nc: theirs, left: make(chan struct{})}
	s.visits = append(s.visits, v)
	behave := s.behave
	go func() {
		defer theirs.Close()
		behave(v)
	}()
	return &end{Conn: ours, left: v.left}, nil
}

// end is the group's side of a connection.
type end struct {
	net.Conn
	once sync.Once
	left chan struct{}
}

func (e *end) Close() error {
	e.once.Do(func() { close(e.left) })
	return e.Conn.Close()
}

// set changes the backend for the connections and dials to come.
func (s *server) set(change func(s *server)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// stop has the backend refuse dials, and hang up on all.
func (s *server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.up = false
	for _, v := range s.visits {
		v.nc.Close()
	}
}

func (s *server) start() { s.set(func(s *server) { s.up = true }) }

// dialTimes are the dials so far, counted from begin.
func (s *server) dialTimes(begin time.Time) (since []time.Duration) {
	for _, d := range s.allDials() {
		since = append(since, d.at.Sub(begin))
	}
	return since
}

// allDials are the dials so far.
func (s *server) allDials() []dialling {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.dials)
}

// visit returns the nth connection, from 0; a negative n counts from the last.
func (s *server) visit(n int) *visit {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n < 0 {
		n += len(s.visits)
	}
	return s.visits[n]
}

func (s *server) visited() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.visits)
}

// got is what all connections have got, the oldest first.
func (s *server) got() (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.visits {
		all = append(all, v.payloads()...)
	}
	return all
}

type frame = wire.Frame

// visit is a backend's side of a connection.
type visit struct {
	nc   net.Conn
	left chan struct{} // closed when the other side has closed

	mu  sync.Mutex
	got []string
}

// next reads a frame.
func (v *visit) next() (frame, error) {
	raw := make([]byte, wire.HeaderLen)
	if _, err := io.ReadFull(v.nc, raw); err != nil {
		return wire.Frame{}, err
	}
	f := wire.Frame{Cmd: uint32(raw[8]), Flag: uint32(raw[9]), Payload: make([]byte, int(raw[6])<<8|int(raw[7]))}
	_, err := io.ReadFull(v.nc, f.Payload)
	return f, err
}

// send writes a frame. That the connection has ended is no error.
func (v *visit) send(cmd, flag uint8, payload string) {
	_, _ = v.nc.Write(wire.AppendFrame(nil, cmd, flag, []byte(payload)))
}

func (v *visit) payloads() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.got)
}

// echo answers pings with pongs and requests with their payloads, and notes what else it gets, until the connection ends.
func (v *visit) echo() { v.each(v.reply) }

// swallow answers pings alone.
func (v *visit) swallow() { v.each(func(frame) {}) }

func (v *visit) each(do func(frame)) {
	for {
		f, err := v.next()
		if err != nil {
			return
		}
		if f.Cmd == uint32(wire.CmdPing) {
			v.reply(f)
			continue
		}
		v.mu.Lock()
		v.got = append(v.got, string(f.Payload))
		v.mu.Unlock()
		do(f)
	}
}

// reply answers a ping with a pong, a request with its payload, and other frames not.
func (v *visit) reply(f frame) {
	switch {
	case f.Cmd == uint32(wire.CmdPing):
		v.send(wire.CmdPong, wire.FlagRsp, string(f.Payload))
	case f.Flag&uint32(wire.FlagReq) != 0:
		v.send(uint8(f.Cmd), wire.FlagRsp, string(f.Payload))
	}
}

// hangUp ends the connection at once.
func (v *visit) hangUp() {}

// mute reads everything and answers nothing.
func (v *visit) mute() { _, _ = io.Copy(io.Discard, v.nc) }

// deaf reads nothing, and returns when its time is over or the connection is.
func deaf(d time.Duration) func(*visit) {
	return func(v *visit) {
		select {
		case <-time.After(d):
		case <-v.left:
		}
	}
}

func equal[S ~[]E, E comparable](t testing.TB, what string, got, want S) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
