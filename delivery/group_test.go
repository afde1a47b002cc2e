package delivery

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	queuememory "github.com/caddy-gopr/caddy-gopr/queue/memory"

	"github.com/caddy-gopr/caddy-gopr/keepalive"
	"github.com/caddy-gopr/caddy-gopr/queue"
	sessionmemory "github.com/caddy-gopr/caddy-gopr/session/memory"
	"github.com/caddy-gopr/caddy-gopr/upstream"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// server is a plain backend behind TCP, whose connections can be cut.
type server struct {
	l  net.Listener
	wg sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	first map[string][]uint32 // of each client, the ids in the order in which they first came
	seen  map[string]map[uint32]bool
}

func serve(t *testing.T) *server {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{l: l, conns: make(map[net.Conn]struct{}), first: make(map[string][]uint32), seen: make(map[string]map[uint32]bool)}
	s.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[c] = struct{}{}
			s.mu.Unlock()
			s.wg.Go(func() { s.read(c) })
		}
	})
	return s
}

// read takes what comes: a PING is answered; a message, noted, and answered with one to the client.
func (s *server) read(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	header := make([]byte, wire.HeaderLen)
	for {
		if _, err := io.ReadFull(r, header); err != nil {
			break
		}
		payload := make([]byte, binary.BigEndian.Uint16(header[wire.OffsetLength:]))
		if _, err := io.ReadFull(r, payload); err != nil {
			break
		}
		if header[wire.OffsetCmd] == wire.CmdPing {
			if _, err := c.Write(wire.AppendFrame(nil, wire.CmdPong, wire.FlagRsp, payload)); err != nil {
				break
			}
			continue
		}
		id, client := binary.BigEndian.Uint32(payload), string(payload[4:])
		s.mu.Lock()
		if s.seen[client] == nil {
			s.seen[client] = make(map[uint32]bool)
		}
		if !s.seen[client][id] {
			s.seen[client][id] = true
			s.first[client] = append(s.first[client], id)
		}
		s.mu.Unlock()
		if _, err := c.Write(wire.AppendFrame(nil, app, 0, payload)); err != nil {
			break
		}
	}
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
}

// cut ends one connection in so many.
func (s *server) cut(oneIn int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if rand.IntN(oneIn) == 0 {
			_ = c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
	}
}

// patient is a client that publishes, acknowledges what comes, and is there all the time.
type patient struct {
	s    *Session
	more chan struct{}

	mu    sync.Mutex
	in    []byte
	held  bool
	ended error
}

func (p *patient) Write(b []byte, _ int) bool {
	p.mu.Lock()
	p.in = append(p.in, b...)
	p.mu.Unlock()
	p.wake()
	return false
}

func (p *patient) Resume() {
	p.mu.Lock()
	p.held = false
	p.mu.Unlock()
	p.wake()
}

func (p *patient) From() (none upstream.Client) { return none }

func (p *patient) End(err error) {
	p.mu.Lock()
	p.ended = err
	p.mu.Unlock()
	p.wake()
}

func (p *patient) wake() {
	select {
	case p.more <- struct{}{}:
	default:
	}
}

// publish sends n messages, and returns when all are acknowledged.
func (p *patient) publish(name string, n uint32) error {
	var next, acked, last uint32
	var f wire.Frame
	for acked < n {
		p.mu.Lock()
		in, held, ended := p.in, p.held, p.ended
		p.in = nil
		p.mu.Unlock()
		if ended != nil {
			return ended
		}
		took := len(in) > 0
		for len(in) > 0 {
			k, err := decoder.Next(in, &f)
			if err != nil {
				return err
			}
			in = in[k:]
			if f.Cmd == wire.CmdPubAck {
				acked++
				continue
			}
			e, err := wire.ParseExt(&f)
			if err != nil {
				return err
			}
			if e.ID != last+1 && e.ID > last {
				return fmt.Errorf("message %d came after %d", e.ID, last)
			}
			last = max(last, e.ID)
			if err := p.s.Take(p, time.Now(), frameOf(ack(wire.CmdPubAck, e.ID))); err != nil {
				return err
			}
		}
		for next < n && next-acked < 64 && !held {
			next++
			payload := append(binary.BigEndian.AppendUint32(nil, next), name...)
			raw, _ := wire.AppendExt(nil, app, &wire.Ext{QoS: 1, ID: next, Payload: payload})
			if err := p.s.Take(p, time.Now(), frameOf(raw)); err != nil {
				return err
			}
			took = true
		}
		if !took {
			<-p.more
			continue
		}
		p.mu.Lock()
		p.held = true
		p.mu.Unlock()
		if !p.s.Flush(p, time.Now()) {
			p.Resume()
		}
	}
	return nil
}

// Over a real group of backends, whose links are cut all the time: nothing is lost, and the first of each comes in order.
func TestGroup(t *testing.T) {
	const clients, messages = 20, 600
	backend := serve(t)
	group, err := upstream.NewGroup(upstream.Config{
		Backends: []string{backend.l.Addr().String()}, Pooling: upstream.Session,
		Heartbeat: &keepalive.Heartbeat{Interval: 0},
	})
	if err != nil {
		t.Fatal(err)
	}
	store, sessions := queuememory.New(queue.Bounds{}, nil), sessionmemory.Open(sessionmemory.Options{})
	v, err := NewService(Config{
		Owner: "group", Sessions: sessions, Queue: store,
		Lease: func(p upstream.LinkPeer, c upstream.Client) (upstream.Lease, func(), error) {
			return group.Lease(p, c), func() {}, nil
		},
	}, Settings{Downlink: 1, MaxRetries: 3})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			name := fmt.Sprint("client ", i)
			s, w, err := v.Hello(t.Context(), Hello{Client: name, Wanted: capabilities, Expiry: time.Hour})
			if err != nil {
				t.Error(err)
				return
			}
			p := &patient{s: s, more: make(chan struct{}, 1)}
			if !s.Attach(p, w) {
				t.Error("not attached")
				return
			}
			if err := p.publish(name, messages); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			s.Detach(p)
		})
	}
	stop, cut := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(cut)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				backend.cut(10)
			}
		}
	}()
	wg.Wait()
	close(stop)
	<-cut
	for until := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		left := 0
		for _, s := range v.all() {
			left += s.Info().Up.Messages
		}
		if left == 0 {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("%d messages have not arrived", left)
		}
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
	group.Close()
	backend.l.Close()
	backend.cut(1)
	backend.wg.Wait()
	store.Close()
	sessions.Close()
	for i := range clients {
		ids := backend.first[fmt.Sprint("client ", i)]
		if len(ids) != messages {
			t.Errorf("client %d: %d messages of %d have arrived", i, len(ids), messages)
		}
		for k, id := range ids {
			if id != uint32(k+1) {
				t.Fatalf("client %d: message %d came as number %d", i, id, k+1)
			}
		}
	}
}
