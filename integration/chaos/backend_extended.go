package main

import (
	"errors"
	"fmt"
	"time"
)

// extended is a connection to a backend that speaks the extended protocol: what docs/protocol.md asks of one, in as few lines as it takes.
//
// The gateway is its client. A session is known by the client id and the token of the HELLO, which on this hop is the session's own and stays the same. The newest
// connection of a session is the one that counts: what an older one still brings is not heard, for the gateway that has it may have been overtaken by another.
//
// Each message is answered by one of the same QoS and number, whose id is the message's: so what is to be sent to the device follows from what was received, and needs
// no memory of its own.
type extended struct {
	*stream
	*backendOptions
	journal *journal

	key      sessionKey
	link     uint32
	seen     uint32   // the highest id received
	sent     uint32   // the highest id of an answer sent on this connection
	batch    []record // received, not yet judged
	unsent   []record // answers beyond the window, or not yet looked at
	inflight int
}

// backendWindow is how many answers may be without an acknowledgement.
const backendWindow = 64

var errOvertaken = errors.New("the session has a newer connection")

func (e *extended) serve() error {
	if err := e.welcome(); err != nil {
		return err
	}
	for {
		if !e.more() {
			if err := e.settle(); err != nil {
				return err
			}
		}
		f, err := e.next(0)
		if err != nil {
			return err
		}
		if err := e.take(f); err != nil {
			return err
		}
	}
}

// welcome answers the first frame, and takes up where the session was.
func (e *extended) welcome() error {
	f, err := e.next(10 * time.Second)
	if err != nil {
		return err
	}
	if f.cmd != cmdHello {
		return fmt.Errorf("the first frame has command 0x%02X and is no HELLO", f.cmd)
	}
	h, err := parseHello(f.payload)
	if err != nil {
		return err
	}
	if h.caps&capQoS == 0 || len(h.token) != 16 {
		return fmt.Errorf("a HELLO with capabilities 0x%02X and a token of %d bytes: a gateway's has QoS, and 16", h.caps, len(h.token))
	}
	if e.key.device, err = deviceOf(h.client); err != nil {
		return err
	}
	copy(e.key.session[:], h.token)
	w := welcome{caps: capQoS | capResume, heartbeat: 30, idle: 90, expiry: h.expiry, window: 64, token: e.key.session[:]}
	err = e.journal.update(e.key, func(s *sessionState) ([]record, error) {
		w.resumed, w.last = s.link > 0, s.last
		e.link = s.link + 1
		e.seen = s.last
		for _, r := range s.messages {
			switch {
			case !e.answer:
			case r.kind == recordReceived:
				e.putAck(cmdPubRel, r.id)
				e.sent = r.id
				e.inflight++
			default:
				e.unsent = append(e.unsent, r)
			}
		}
		return []record{{kind: recordLink, key: e.key, link: e.link, at: time.Now().UnixNano()}}, nil
	})
	if err != nil {
		return err
	}
	acks := e.out
	e.out = nil
	e.put(frame{cmd: cmdWelcome, payload: w.append(nil)})
	e.out = append(e.out, acks...)
	return nil
}

// take looks at one frame. Messages are judged together, in settle.
func (e *extended) take(f frame) error {
	switch f.cmd {
	case cmdPing:
		e.put(frame{cmd: cmdPong, flag: flagRsp, payload: f.payload})
	case cmdPong:
	case cmdPubRel:
		if id := f.ackID(); id == 0 || id > e.seen {
			return fmt.Errorf("PUBREL %d for what was never sent", id)
		}
		e.putAck(cmdPubComp, f.ackID())
	case cmdPubAck, cmdPubRec, cmdPubComp:
		return e.acknowledged(f.cmd, f.ackID())
	case cmdBye:
		return e.settle()
	default:
		m, ok := parseMessage(f.payload)
		if f.cmd < cmdApp || !ok {
			return fmt.Errorf("command 0x%02X with %d bytes: neither the protocol's nor a message", f.cmd, len(f.payload))
		}
		if m.qos != f.qos {
			return fmt.Errorf("message %d was sent with QoS %d, and has come with %d", m.number, m.qos, f.qos)
		}
		r := record{kind: recordMessage, key: e.key, id: f.id, link: e.link, message: m, at: time.Now().UnixNano()}
		if f.dup {
			r.kind = 0 // until it is judged
		}
		e.batch = append(e.batch, r)
		e.seen = max(e.seen, f.id)
	}
	return nil
}

// settle judges what has come, writes it to the journal, acknowledges it, and sends what there is to send.
func (e *extended) settle() error {
	if len(e.batch) > 0 {
		if err := e.judge(); err != nil {
			return err
		}
	}
	for len(e.unsent) > 0 && e.inflight < backendWindow {
		r := e.unsent[0]
		e.unsent = e.unsent[1:]
		m := r.message
		m.down = true
		// Those that the journal already had when the connection began may have been sent on the one before.
		e.put(frame{cmd: cmdApp, qos: m.qos, dup: r.link != e.link, id: r.id, payload: m.append(nil, e.size)})
		e.sent = r.id
		e.inflight++
	}
	return e.flush()
}

// judge takes what is new, and acknowledges all.
func (e *extended) judge() error {
	var fresh []record
	err := e.journal.update(e.key, func(s *sessionState) ([]record, error) {
		if s.link != e.link {
			return nil, errOvertaken
		}
		last := s.last
		for _, r := range e.batch {
			switch dup := r.kind == 0; {
			case r.id == 0 || r.id > last:
				r.kind = recordMessage
				fresh = append(fresh, r)
				last = max(last, r.id)
			case !dup:
				return nil, fmt.Errorf("id %d came again, or out of order behind %d, and without DUP", r.id, last)
			}
		}
		return fresh, nil
	})
	if err != nil {
		return err
	}
	for _, r := range e.batch {
		switch r.message.qos {
		case 1:
			e.putAck(cmdPubAck, r.id)
		case 2:
			e.putAck(cmdPubRec, r.id)
		}
	}
	if e.answer {
		for _, r := range fresh {
			if r.id != 0 {
				e.unsent = append(e.unsent, r)
			}
		}
	}
	e.batch = e.batch[:0]
	return nil
}

// acknowledged notes what the gateway has of our answers.
func (e *extended) acknowledged(cmd uint8, id uint32) error {
	if id == 0 || id > e.sent {
		return fmt.Errorf("command 0x%02X for id %d, which was never sent", cmd, id)
	}
	var records []record
	if cmd != cmdPubComp {
		records = append(records, record{kind: recordReceived, key: e.key, id: id})
	}
	if cmd != cmdPubRec {
		records = append(records, record{kind: recordCompleted, key: e.key, id: id})
		e.inflight = max(0, e.inflight-1)
	}
	if cmd == cmdPubRec {
		e.putAck(cmdPubRel, id)
	}
	return e.journal.update(e.key, func(s *sessionState) ([]record, error) {
		if s.link != e.link {
			return nil, errOvertaken
		}
		return records, nil
	})
}
