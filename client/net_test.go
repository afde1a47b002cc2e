package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errRefused = errors.New("connection refused")

// network is a network in memory: its Dial is an Options.Dial, its Accept the other side. It runs under the clock of
// testing/synctest.
type network struct {
	accepted chan net.Conn // the listener's ends

	mu       sync.Mutex
	up       bool          // else dials are refused
	delay    time.Duration // that a dial takes
	dials    []time.Time
	dialling int
	overlap  bool // two dials at once were seen
}

func newNetwork() *network { return &network{up: true, accepted: make(chan net.Conn, 64)} }

func (n *network) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	n.mu.Lock()
	n.dials = append(n.dials, time.Now())
	n.dialling++
	n.overlap = n.overlap || n.dialling > 1
	delay := n.delay
	n.mu.Unlock()

	err := sleep(ctx, delay)

	n.mu.Lock()
	defer n.mu.Unlock()
	n.dialling--
	switch {
	case err != nil:
		return nil, err
	case !n.up:
		return nil, errRefused
	}
	ours, theirs := net.Pipe()
	n.accepted <- theirs
	return ours, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (n *network) set(up bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.up = up
}

// dialTimes are the dials so far, counted from start.
func (n *network) dialTimes(start time.Time) []time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	var since []time.Duration
	for _, at := range n.dials {
		since = append(since, at.Sub(start))
	}
	return since
}

// accept waits for the next connection, and returns its other end.
func (n *network) accept(t *testing.T) *peer { return &peer{t: t, nc: <-n.accepted} }

// peer is the other end of a connection, read and written frame by frame.
type peer struct {
	t  *testing.T
	nc net.Conn
}

// next reads a frame; io.EOF at the end.
func (p *peer) next() (wire.Frame, error) {
	raw := make([]byte, wire.HeaderLen)
	if _, err := io.ReadFull(p.nc, raw); err != nil {
		return wire.Frame{}, err
	}
	raw = append(raw, make([]byte, int(raw[6])<<8|int(raw[7]))...)
	if _, err := io.ReadFull(p.nc, raw[wire.HeaderLen:]); err != nil {
		return wire.Frame{}, err
	}
	var f wire.Frame
	_, err := defaultDecoder().Next(raw, &f)
	return f, err
}

// expect reads the next frame, which must be this one.
func (p *peer) expect(cmd, flag uint8, payload string) {
	p.t.Helper()
	f, err := p.next()
	if err != nil {
		p.t.Fatalf("peer: want frame 0x%02X with %q, got error %v", cmd, payload, err)
	}
	if want := wire.AppendFrame(nil, cmd, flag, []byte(payload)); !bytes.Equal(f.Raw, want) {
		p.t.Fatalf("peer: got frame %q, want %q", f.Raw, want)
	}
}

// send writes a frame. That the connection has ended meanwhile is no error.
func (p *peer) send(cmd, flag uint8, payload string) {
	p.write(wire.AppendFrame(nil, cmd, flag, []byte(payload)))
}

func (p *peer) write(b []byte) { _, _ = p.nc.Write(b) }

// serve answers pings with pongs, and requests with their payloads, until the connection ends.
func (p *peer) serve() {
	for {
		f, err := p.next()
		if err != nil {
			return
		}
		switch {
		case f.Cmd == wire.CmdPing:
			p.write(wire.AppendFrame(nil, wire.CmdPong, wire.FlagRsp, f.Payload))
		case f.Flag&wire.FlagReq != 0:
			p.write(wire.AppendFrame(nil, uint8(f.Cmd), wire.FlagRsp, f.Payload))
		}
	}
}

// read takes what comes, and answers nothing.
func (p *peer) read() { _, _ = io.Copy(io.Discard, p.nc) }

// start runs a Client of the network n, and closes it at the end of the test.
func start(t *testing.T, n *network, opt Options) *Client {
	t.Helper()
	opt.Dial = n.Dial
	if opt.Heartbeat.Jitter == 0 {
		opt.Heartbeat.Jitter = -1
	}
	c, err := New("peer", opt)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Run(context.Background()) }()
	t.Cleanup(func() {
		c.Close()
		if err := <-ended; !errors.Is(err, ErrClosed) {
			t.Errorf("Run: %v, want ErrClosed", err)
		}
	})
	return c
}

// connect runs a Client and returns it with its peer.
func connect(t *testing.T, opt Options) (*Client, *peer) {
	t.Helper()
	n := newNetwork()
	c := start(t, n, opt)
	p := n.accept(t)
	wait(t, c, Connected)
	return c, p
}

func wait(t *testing.T, c *Client, s State) {
	t.Helper()
	if err := c.Wait(context.Background(), s); err != nil {
		t.Fatalf("waiting for %v: %v", s, err)
	}
}

// tcpPair returns the two ends of a connection over the loopback.
func tcpPair(t *testing.T) (ours, theirs net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ours, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return ours, theirs
}

// listen accepts connections over the loopback and has each served, until the end of the test.
func listen(t testing.TB, serve func(net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer nc.Close()
				serve(nc)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return l.Addr().String()
}
