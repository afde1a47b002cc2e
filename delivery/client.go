package delivery

import (
	"bytes"
	"errors"
	"time"

	"github.com/caddy-gopr/caddy-gopr/qos"
	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Attach gives the session its client's connection, after the WELCOME was written to it: what has waited for the client is sent. false: the session has gone to another
// connection or gateway meanwhile, or has ended; c is not called then, and the connection is to be closed.
func (s *Session) Attach(c Client, w *Welcome) bool {
	s.mu.Lock()
	defer s.unlock()
	if s.gone || s.turn != w.turn || s.cl != nil {
		return false
	}
	s.cl, s.caps, s.window, s.clientFull, s.clientHeld = c, w.Granted, w.window, false, false
	s.in = qos.NewReceiver(s.up.info.Last)
	s.parkAt, s.shy, s.heard = 0, true, false
	if r := s.rare; r != nil {
		r.from = nil // c knows
	}
	s.touchAt = s.v.now() + moment(s.touchEvery())
	if s.caps&wire.CapQoS != 0 {
		s.down.begin(w.window)
	}
	return true
}

// Take takes a frame of the client: all but its heartbeats. f is valid during the call. The error is a *Violation, ErrBye, or ErrTaken, and the connection ends; what Take
// took before is safe all the same. What Take takes is carried out by Flush.
func (s *Session) Take(c Client, _ time.Time, f *wire.Frame) error {
	s.mu.Lock()
	if s.cl != c {
		s.mu.Unlock()
		return ErrTaken
	}
	s.heard = true
	err := s.take(f)
	if err == nil {
		s.mu.Unlock()
		return nil
	}
	if v := (*Violation)(nil); errors.As(err, &v) {
		s.v.count.violated(v.Reason)
	}
	s.unlock()
	return err
}

// Heard tells that a frame has come over the client's connection, were it a heartbeat: it has got its WELCOME. Once is enough; Take knows by itself.
func (s *Session) Heard(c Client) {
	s.mu.Lock()
	defer s.unlock()
	s.heard = s.heard || s.cl == c
}

// Flush is called when a piece of what the client sent is used up, also of one in which nothing was. full: no more, please, until Client.Resume.
func (s *Session) Flush(c Client, _ time.Time) (full bool) {
	s.mu.Lock()
	defer s.unlock()
	if s.cl != c {
		return false
	}
	if s.shy && s.heard {
		s.shy = false
		s.confirm()
	}
	s.clientHeld = s.holdsClient()
	return s.clientHeld
}

// Drained tells that the client takes more, after Client.Write returned full.
func (s *Session) Drained(c Client) {
	s.mu.Lock()
	defer s.unlock()
	if s.cl == c {
		s.clientFull = false
	}
}

// Settled says whether all messages that the client has sent are safe, and all that it has asked is answered.
func (s *Session) Settled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	unsafe, _ := s.up.pending()
	return unsafe == 0 && len(s.asks) == 0 && s.loose == nil
}

// Detach tells that the client's connection has ended.
func (s *Session) Detach(c Client) {
	s.mu.Lock()
	defer s.unlock()
	if s.cl == c && !s.gone {
		s.detach()
	}
}

func violation(code wire.ErrorCode, reason, text string) *Violation {
	return &Violation{Code: code, Reason: reason, Text: text}
}

var (
	errAckOf    = violation(wire.ErrorID, "id", "an acknowledgement of what was never sent, or of another kind than its QoS has")
	errRelease  = violation(wire.ErrorID, "id", "PUBREL of what was never received")
	errCommand  = violation(wire.ErrorProtocol, "protocol", "a command that is not for a client to send here")
	errNoQoS    = violation(wire.ErrorProtocol, "qos", "QoS 1 and 2 are for those that asked for them in HELLO")
	errReused   = violation(wire.ErrorID, "id", "an id that was used before, without DUP, or far from those before")
	errInflight = violation(wire.ErrorLimit, "inflight", "more unacknowledged messages than WELCOME granted")
	errNameless = violation(wire.ErrorLost, "requests", "a request without an id gets no answer any more, and the answers to others could be taken for it; come back")
	errFull     = violation(wire.ErrorQueueFull, "full", "the queue has no room; come back, and send again what was not acknowledged")
)

// take notes what a frame says. s.mu is held.
func (s *Session) take(f *wire.Frame) error {
	cmd := uint8(f.Cmd)
	if cmd < wire.CmdApp {
		return s.takeControl(cmd, f)
	}
	return s.takeMessage(f)
}

// takeControl takes a frame of the protocol's own. s.mu is held.
func (s *Session) takeControl(cmd uint8, f *wire.Frame) error {
	switch cmd {
	case wire.CmdPubAck, wire.CmdPubRec, wire.CmdPubComp, wire.CmdPubRel, wire.CmdBye, wire.CmdError, wire.CmdPing, wire.CmdPong:
	default:
		return errCommand
	}
	if err := wire.CheckControl(f); err != nil {
		return violation(wire.ErrorMalformed, "malformed", err.Error())
	}
	switch cmd {
	case wire.CmdPubAck, wire.CmdPubRec, wire.CmdPubComp:
		id, _ := wire.ParseAck(f.Payload)
		if !s.acked(queue.Down, cmd, id, out(&s.toClient)) {
			return errAckOf
		}
	case wire.CmdPubRel:
		id, _ := wire.ParseAck(f.Payload)
		if !s.in.Release(id) {
			return errRelease
		}
		out(&s.toClient).ack(wire.CmdPubComp, id)
	case wire.CmdBye:
		s.bye()
		return ErrBye
	}
	return nil // a client that complains, say, is not helped by another complaint
}

// takeMessage takes a frame of the application. s.mu is held.
func (s *Session) takeMessage(f *wire.Frame) error {
	e, err := wire.ParseExt(f)
	if err != nil {
		v := violation(wire.ErrorMalformed, "malformed", err.Error())
		if r := (*wire.RejectError)(nil); errors.As(err, &r) && r.Reason == wire.ReasonChecksum {
			v.Reason = "checksum"
		}
		return v
	}
	if e.QoS == 0 {
		s.pass(uint8(f.Cmd), &e)
		return nil
	}
	if s.caps&wire.CapQoS == 0 {
		return errNoQoS
	}
	id, verdict := s.in.Take(e.ID, e.Dup)
	switch verdict {
	case qos.New:
		if n, _ := s.up.pending(); n >= int(s.window) {
			return errInflight
		}
		s.up.put(s.v.message(id, uint8(f.Cmd), e.Flag, e.QoS, bytes.Clone(e.Payload)), receipt{e.ID, e.QoS})
	case qos.Duplicate:
		out(&s.toClient).ack(receiptFor(e.QoS), e.ID)
	case qos.Violation:
		return errReused
	}
	return nil
}

// receiptFor is the command that acknowledges a message.
func receiptFor(qos uint8) uint8 {
	if qos == 2 {
		return wire.CmdPubRec
	}
	return wire.CmdPubAck
}

// tookUp acknowledges what is stored, and sends it on. last is the highest id that was stored before. s.mu is held.
func (s *Session) tookUp(b *batch, r queue.Result, last uint64) {
	for _, owed := range b.owed[:min(r.Stored, len(b.owed))] {
		if s.cl != nil {
			out(&s.toClient).ack(receiptFor(owed.qos), owed.id)
		}
	}
	s.in.Safe(r.Box.Last)
	if s.sends(queue.Up) {
		s.up.add(b.Ops, r.Stored, last, r.Dropped)
	}
	s.v.count.taken[queue.Up].Add(uint64(r.Stored))
	refused := len(b.owed) - r.Stored
	if refused <= 0 {
		return
	}
	s.v.count.refused.Add(uint64(refused))
	s.up.withdraw()
	if s.cl != nil {
		s.in.Refuse()
		s.v.count.violated(errFull.Reason)
		s.endClient(errFull)
	}
}
