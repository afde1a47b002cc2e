package cli

import (
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// sessionPeer is as much of a gateway as send and bench need: it has sessions, and acknowledges.
type sessionPeer struct {
	secret string                                                  // the credential that is good; "": any
	fate   func(connection int, f *wire.Frame) (end bool)          // of a frame that comes; nil: it is answered
	refuse func(connection int, h *wire.Hello) (e wire.ErrorFrame) // nil: nobody is

	mu          sync.Mutex
	connections int
	sessions    map[string]*gatewaySession // by client id
	byes        int
}

type gatewaySession struct {
	token    byte
	last     uint32 // the highest id received
	messages []string
}

func startGateway(t *testing.T, g *sessionPeer) string {
	t.Helper()
	g.sessions = map[string]*gatewaySession{}
	return startPeer(t, g.serve)
}

// got is what has come of a client, each once.
func (g *sessionPeer) got(client string) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.sessions[client]; s != nil {
		return slices.Clone(s.messages)
	}
	return nil
}

func (g *sessionPeer) serve(nc net.Conn) {
	g.mu.Lock()
	g.connections++
	n := g.connections
	g.mu.Unlock()
	var s *gatewaySession
	each(nc, func(f *wire.Frame) {
		if g.fate != nil && g.fate(n, f) {
			nc.Close()
			return
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		var out []byte
		switch f.Cmd {
		case wire.CmdHello:
			s, out = g.hello(n, f)
		case wire.CmdPing:
			out = wire.AppendFrame(nil, wire.CmdPong, wire.FlagRsp, f.Payload)
		case wire.CmdPubRel:
			id, _ := wire.ParseAck(f.Payload)
			out = wire.AppendAck(nil, wire.CmdPubComp, id)
		case wire.CmdBye:
			g.byes++
			nc.Close()
			return
		default:
			out = s.message(f)
		}
		_, _ = nc.Write(out)
	})
}

func (g *sessionPeer) hello(n int, f *wire.Frame) (*gatewaySession, []byte) {
	h, _ := wire.ParseHello(f.Payload)
	if g.refuse != nil {
		if e := g.refuse(n, &h); e.Code != 0 {
			return nil, wire.AppendError(nil, e)
		}
	}
	if g.secret != "" && g.secret != string(h.Credential) {
		return nil, wire.AppendError(nil, wire.ErrorFrame{Code: wire.ErrorNotAuthorized, Text: "a wrong credential"})
	}
	s := g.sessions[string(h.ClientID)]
	resumed := s != nil && len(h.Token) == 1 && h.Token[0] == s.token
	if !resumed {
		s = &gatewaySession{}
		g.sessions[string(h.ClientID)] = s
	}
	s.token++
	out, err := wire.AppendWelcome(nil, &wire.Welcome{
		Resumed: resumed, Capabilities: h.Capabilities, Heartbeat: 30 * time.Second, Expiry: h.Expiry, Window: 64,
		LastID: s.last, Token: []byte{s.token},
	})
	if err != nil {
		panic(err)
	}
	return s, out
}

func (s *gatewaySession) message(f *wire.Frame) []byte {
	e, err := wire.ParseExt(f)
	if err != nil {
		panic(err)
	}
	keep := func() {
		s.messages = append(s.messages, fmt.Sprintf("%d %s", e.QoS, e.Payload[:min(len(e.Payload), 20)]))
	}
	if e.QoS == 0 {
		keep()
		if e.Flag != wire.FlagReq {
			return nil
		}
		e.Flag = wire.FlagRsp
		out, _ := wire.AppendExt(nil, uint8(f.Cmd), &e)
		return out
	}
	if e.ID > s.last {
		s.last = e.ID
		keep()
	}
	if e.QoS == 1 {
		return wire.AppendAck(nil, wire.CmdPubAck, e.ID)
	}
	return wire.AppendAck(nil, wire.CmdPubRec, e.ID)
}
