package client

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/qos"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// gateway is a gateway in memory that keeps to docs/protocol.md, sections 4 to 8, and delivers to a list: what its clients are tested against. It loses nothing when a
// connection dies, as if all it stores were durable.
type gateway struct {
	*network
	t *testing.T

	mu       sync.Mutex
	sessions map[string]*gatewaySession
	made     int // tokens
	window   uint16
	refuse   *wire.ErrorFrame // what HELLO is answered with; nil: WELCOME
	mute     bool             // messages are neither taken nor acknowledged
	caps     wire.Capability
	greets   []wire.Hello
	got      []delivered // what has arrived from clients, of any QoS
	dups     int         // messages with DUP
	answers  map[uint8]func(c *gatewayConn, cmd uint8, e wire.Ext)
	all      sync.WaitGroup
	cut      func() (down, up int) // after how many bytes each way a connection dies; nil: never
}

// delivered is a message that has arrived.
type delivered struct {
	cmd     uint8
	qos     uint8
	payload string
}

type gatewaySession struct {
	tokens [][]byte // the last one, and the one before while the last is not confirmed
	recv   qos.Receiver
	send   qos.Sender
	last   uint64
	unsent []gatewayMessage
	flying map[uint64]gatewayMessage
	conn   *gatewayConn // nil: the client is away
}

type gatewayMessage struct {
	qos     uint8
	flag    uint8
	payload string
}

// gatewayConn is a connection of a gateway. Its writes go through a goroutine, so that it never stops reading.
type gatewayConn struct {
	g   *gateway
	s   *gatewaySession
	nc  net.Conn
	out chan []byte
	bye bool
	crc bool
}

func newGateway(t *testing.T) *gateway {
	g := &gateway{network: newNetwork(), t: t, sessions: map[string]*gatewaySession{}, window: 8, caps: 0xFF, answers: map[uint8]func(*gatewayConn, uint8, wire.Ext){}}
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case nc := <-g.accepted:
				g.all.Go(func() { g.serve(nc) })
			case <-stop:
				return
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-done
		g.all.Wait()
	})
	return g
}

// Dial is network.Dial through a cable that may be cut.
func (g *gateway) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	nc, err := g.network.Dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cut == nil {
		return nc, nil
	}
	down, up := g.cut()
	return &cable{Conn: nc, down: down, up: up}, nil
}

// cable is a connection that dies after so many bytes read, or written; a part of what is written goes through.
type cable struct {
	net.Conn
	mu       sync.Mutex
	down, up int
}

func (c *cable) Read(b []byte) (int, error) {
	c.mu.Lock()
	left := c.down
	c.mu.Unlock()
	if left <= 0 {
		c.Conn.Close()
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.Conn.Read(b[:min(len(b), left)])
	c.mu.Lock()
	c.down -= n
	c.mu.Unlock()
	return n, err
}

func (c *cable) Write(b []byte) (int, error) {
	c.mu.Lock()
	left := c.up
	c.up -= len(b)
	c.mu.Unlock()
	if len(b) <= left {
		return c.Conn.Write(b)
	}
	n, _ := c.Conn.Write(b[:max(left, 0)])
	c.Conn.Close()
	return n, io.ErrClosedPipe
}

func (g *gateway) serve(nc net.Conn) {
	p := &peer{t: g.t, nc: nc}
	defer nc.Close()
	f, err := p.next()
	if err != nil {
		return
	}
	hello, ok := wire.ParseHello(f.Payload)
	if f.Cmd != wire.CmdHello || !ok {
		g.t.Errorf("gateway: got %q instead of a HELLO", f.Raw)
		return
	}
	c := &gatewayConn{g: g, nc: nc, out: make(chan []byte, 4096)}
	writer := make(chan struct{})
	go func() {
		defer close(writer)
		for b := range c.out {
			_, _ = nc.Write(b)
		}
	}()
	if g.welcome(c, hello) {
		for {
			f, err := p.next()
			if err != nil || !g.frame(c, &f) {
				break
			}
		}
	}
	g.mu.Lock()
	if c.s != nil && c.s.conn == c {
		c.s.conn = nil
	}
	close(c.out)
	c.bye = true
	g.mu.Unlock()
	<-writer
}

func (c *gatewayConn) write(b []byte) {
	if !c.bye {
		c.out <- b
	}
}

// welcome answers a HELLO. false: it refuses.
func (g *gateway) welcome(c *gatewayConn, h wire.Hello) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.greets = append(g.greets, h)
	if g.refuse != nil {
		c.write(wire.AppendError(nil, *g.refuse))
		return false
	}
	id := string(h.ClientID)
	s := g.sessions[id]
	resumed := false
	for i := 0; s != nil && i < len(s.tokens); i++ {
		if string(s.tokens[i]) == string(h.Token) {
			resumed = true
			s.tokens = s.tokens[i : i+1]
		}
	}
	if old := s; old != nil && old.conn != nil {
		old.conn.write(wire.AppendGoAway(nil, wire.GoAway{Reason: wire.GoAwayTakenOver}))
		old.conn = nil
	}
	if !resumed {
		s = &gatewaySession{flying: map[uint64]gatewayMessage{}}
		g.sessions[id] = s
	}
	g.made++
	token := binary.BigEndian.AppendUint64([]byte("token: "), uint64(g.made))
	s.tokens = append(s.tokens, token)
	c.s, s.conn = s, c
	limits := qos.Limits{Window: int(g.window)}
	if !resumed {
		s.send = qos.NewSender(limits, 0)
	} else {
		s.send.Restart(limits)
		s.recv = qos.NewReceiver(s.recv.Last())
	}
	caps := h.Capabilities & g.caps
	c.crc = caps&wire.CapCRC != 0
	b, err := wire.AppendWelcome(nil, &wire.Welcome{
		Resumed: resumed, Capabilities: caps, Heartbeat: 20 * time.Second, Idle: 30 * time.Second,
		Expiry: h.Expiry, Window: g.window, LastID: uint32(s.recv.Last()), Token: token,
	})
	if err != nil {
		g.t.Error(err)
	}
	c.write(b)
	c.again()
	c.pump()
	return true
}

// each does something with the connection of each client that is there.
func (g *gateway) each(do func(c *gatewayConn)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sessions {
		if s.conn != nil {
			do(s.conn)
		}
	}
}

// hangUp closes all connections.
func (g *gateway) hangUp() { g.each(func(c *gatewayConn) { c.nc.Close() }) }

// arrived is what has arrived from clients.
func (g *gateway) payloads() (all []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, d := range g.got {
		all = append(all, d.payload)
	}
	return all
}

// member runs a Client with a session at the gateway.
func (g *gateway) member(t *testing.T, opt SessionOptions) *Client {
	t.Helper()
	return g.memberWith(t, Options{}, opt)
}

func (g *gateway) memberWith(t *testing.T, o Options, opt SessionOptions) *Client {
	t.Helper()
	if opt.ClientID == "" {
		opt.ClientID = "device"
	}
	o.Session = &opt
	if o.Dial == nil {
		o.Dial = g.Dial
	}
	o.Heartbeat.Jitter = -1
	c, err := New("gateway", o)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = c.Run(context.Background())
	}()
	t.Cleanup(func() {
		c.Close()
		<-ended
	})
	return c
}

func (d delivered) String() string { return fmt.Sprintf("0x%02X QoS %d %q", d.cmd, d.qos, d.payload) }
