package client

import (
	"time"

	"github.com/caddy-gopr/caddy-gopr/qos"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// frame is told of a frame after HELLO. false: the connection is to be closed.
func (g *gateway) frame(c *gatewayConn, f *wire.Frame) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := c.s
	if s.conn != c {
		return false
	}
	if f.Cmd == wire.CmdPing {
		c.write(wire.AppendFrame(nil, wire.CmdPong, wire.FlagRsp, f.Payload))
		return true
	}
	if n := len(s.tokens); n > 1 {
		s.tokens = s.tokens[n-1:] // it has the last one
	}
	if f.Cmd >= wire.CmdApp {
		return g.message(c, f)
	}
	if err := wire.CheckControl(f); err != nil {
		g.t.Errorf("gateway: %v: %q", err, f.Raw)
		return false
	}
	id, _ := wire.ParseAck(f.Payload)
	switch f.Cmd {
	case wire.CmdPubAck, wire.CmdPubRec, wire.CmdPubComp:
		full, o := s.send.Ack(uint8(f.Cmd), id)
		switch o {
		case qos.Done:
			delete(s.flying, full)
		case qos.Release:
			s.send.Release(full, time.Now())
			c.write(wire.AppendAck(nil, wire.CmdPubRel, id))
		case qos.Forged:
			g.t.Errorf("gateway: %q acknowledges what was never sent", f.Raw)
			return false
		}
		c.again()
		c.pump()
	case wire.CmdPubRel:
		if !s.recv.Release(id) {
			g.t.Errorf("gateway: PUBREL of %d", id)
			return false
		}
		c.write(wire.AppendAck(nil, wire.CmdPubComp, id))
	case wire.CmdBye:
		for id, x := range g.sessions {
			if x == s {
				delete(g.sessions, id)
			}
		}
		return false
	case wire.CmdError:
		e, _ := wire.ParseError(f)
		g.t.Logf("gateway: %v", &e)
		return false
	}
	return true
}

func (g *gateway) message(c *gatewayConn, f *wire.Frame) bool {
	e, err := wire.ParseExt(f)
	if err != nil || e.CRC != c.crc {
		g.t.Errorf("gateway: %v, CRC %v: %q", err, e.CRC, f.Raw)
		return false
	}
	if answer := g.answers[uint8(f.Cmd)]; answer != nil {
		answer(c, uint8(f.Cmd), e)
		return true
	}
	if e.Dup {
		g.dups++
	}
	if g.mute {
		return true
	}
	took := delivered{uint8(f.Cmd), e.QoS, string(e.Payload)}
	if e.QoS == 0 {
		g.got = append(g.got, took)
		return true
	}
	full, v := c.s.recv.Take(e.ID, e.Dup)
	switch v {
	case qos.New:
		g.got = append(g.got, took)
		c.s.recv.Safe(full)
	case qos.Duplicate:
	default:
		g.t.Errorf("gateway: verdict %d of message %d, DUP %v", v, e.ID, e.Dup)
		return false
	}
	ack := uint8(wire.CmdPubAck)
	if e.QoS == 2 {
		ack = wire.CmdPubRec
	}
	c.write(wire.AppendAck(nil, ack, e.ID))
	return true
}

// publish sends a message to a client, now or when it comes.
func (g *gateway) publish(client string, qos uint8, payload string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.sessions[client]
	s.unsent = append(s.unsent, gatewayMessage{qos: qos, payload: payload})
	if s.conn != nil {
		s.conn.pump()
	}
}

// commandDown is that of all messages to clients.
const commandDown = 0x40

func (c *gatewayConn) pump() {
	for s := c.s; len(s.unsent) > 0 && s.send.Room() > 0; {
		m := s.unsent[0]
		s.unsent = s.unsent[1:]
		s.last = qos.Next(s.last)
		s.send.Sent(s.last, m.qos, time.Now())
		s.flying[s.last] = m
		c.send(s.last, m, false)
	}
}

func (c *gatewayConn) send(id uint64, m gatewayMessage, dup bool) {
	b, err := wire.AppendExt(nil, commandDown, &wire.Ext{QoS: m.qos, Flag: m.flag, ID: uint32(id), Dup: dup, CRC: c.crc, Payload: []byte(m.payload)})
	if err != nil {
		c.g.t.Error(err)
	}
	c.write(b)
}

// again sends what was in flight on another connection.
func (c *gatewayConn) again() {
	for {
		id, action := c.s.send.Due(time.Now())
		switch action {
		case qos.SendAgain:
			c.send(id, c.s.flying[id], true)
		case qos.ReleaseAgain:
			c.write(wire.AppendAck(nil, wire.CmdPubRel, uint32(id)))
		default:
			return
		}
	}
}
