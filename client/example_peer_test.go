package client_test

import (
	"context"
	"errors"
	"log"
	"net"
	"sync"

	"github.com/caddy-gopr/caddy-gopr/client"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// commandHangUp makes the examples' peer close the connection instead of answering.
const commandHangUp = 0x7F

// examplePeer is what the examples connect to: it answers requests with their payloads.
type examplePeer struct {
	addr     string
	listener net.Listener
	all      sync.WaitGroup
	answers  chan string // to what it asks

	mu    sync.Mutex
	some  *sync.Cond // conns has got one
	conns map[*client.Conn]bool
}

func startPeer() *examplePeer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	p := &examplePeer{addr: l.Addr().String(), listener: l, answers: make(chan string, 1), conns: map[*client.Conn]bool{}}
	p.some = sync.NewCond(&p.mu)
	p.all.Go(p.accept)
	return p
}

func (p *examplePeer) accept() {
	for {
		nc, err := p.listener.Accept()
		if err != nil {
			return
		}
		e := &exampleConn{peer: p}
		e.Conn = client.NewConn(nc, nil, e)
		p.mu.Lock()
		p.conns[e.Conn] = true
		p.some.Broadcast()
		p.mu.Unlock()
		p.all.Go(func() {
			_ = e.Serve(context.Background())
			p.mu.Lock()
			defer p.mu.Unlock()
			delete(p.conns, e.Conn)
		})
	}
}

// each does something with every connection there is.
func (p *examplePeer) each(do func(*client.Conn)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		do(c)
	}
}

// ask asks a question of the one that is connected, or soon will be.
func (p *examplePeer) ask(question string) (answer string) {
	p.mu.Lock()
	for len(p.conns) == 0 {
		p.some.Wait()
	}
	p.mu.Unlock()
	p.each(func(c *client.Conn) { _, _ = c.Write(wire.AppendFrame(nil, 0x30, wire.FlagReq, []byte(question))) })
	return <-p.answers
}

var errHangUp = errors.New("hung up")

func (p *examplePeer) hangUp() { p.each(func(c *client.Conn) { c.Close(errHangUp) }) }

func (p *examplePeer) stop() {
	p.listener.Close()
	p.hangUp()
	p.all.Wait()
}

type exampleConn struct {
	*client.Conn
	peer *examplePeer
}

func (e *exampleConn) Frame(_ []byte, _, _ int, f *wire.Frame) {
	switch {
	case f.Cmd == commandHangUp:
		e.Close(errHangUp)
	case f.Flag&wire.FlagReq != 0:
		_, _ = e.Write(wire.AppendFrame(nil, uint8(f.Cmd), wire.FlagRsp, f.Payload))
	case f.Flag&wire.FlagRsp != 0:
		e.peer.answers <- string(f.Payload)
	}
}

func (e *exampleConn) Flush([]byte) (more bool) { return true }

func (e *exampleConn) Drained() {}
