package wire

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// declareHeartbeat checks what answers a ping, and works out how to tell it.
func (f *Format) declareHeartbeat(l *Layout) error {
	ping, reply := &l.Heartbeat.Ping, l.Heartbeat.Pong
	switch {
	case !ping.given():
		if reply != nil {
			return errors.New("heartbeat: there is a pong, but no ping")
		}
		return nil
	case ping.Any || ping.Commands != nil:
		return errors.New("ping: any frame of several kinds would be one: give cmd, flag or payload")
	}

	pong := ping.clone()
	pong.From = AnyDirection
	if f.answer != nil {
		pong.From = FromServer
	}
	switch {
	case reply == nil:
	case reply.Frame != nil:
		if reply.Cmd != nil || reply.Flag != nil || reply.EchoPayload {
			return errors.New("pong: a whole frame is given, and fields of it as well: want one of them")
		}
		whole, err := f.parseWhole(bytes.Clone(reply.Frame))
		if err != nil {
			return fmt.Errorf("pong: %X is no frame of the format: %w", reply.Frame, err)
		}
		pong.Payload = whole.Payload
		if f.echoesPayload(reply) {
			pong.Payload = nil
		}
		f.matchFields(&pong, whole)
		pong.From = f.direction(whole.Raw)
	default:
		if reply.Cmd != nil {
			pong.Cmd = Is(*reply.Cmd)
		}
		if reply.Flag != nil {
			pong.Flag = Is(*reply.Flag)
		}
		if !reply.EchoPayload {
			pong.Payload = nil
		}
	}
	if err := f.checkMatch("pong", &pong); err != nil {
		return err
	}
	if reply != nil {
		if err := f.checkEcho(l, reply); err != nil {
			return err
		}
	}
	f.pong = pong.compile()
	return nil
}

// parseWhole reads a frame given in a declaration, whose checksum need not be
// right yet.
func (f *Format) parseWhole(raw []byte) (*Frame, error) {
	d, err := f.NewDecoder(Rules{})
	if err != nil {
		return nil, err
	}
	frame := new(Frame)
	size, err := d.Header(raw, frame)
	switch {
	case err != nil:
		return nil, err
	case size == 0:
		return nil, fmt.Errorf("%d bytes are less than a header", len(raw))
	case size != len(raw):
		return nil, fmt.Errorf("its length makes it %d bytes, but it has %d", size, len(raw))
	}
	f.seal(raw)
	if reject := f.verify(raw); reject != nil {
		return nil, reject
	}
	frame.Raw, frame.Payload = raw, f.payload(raw)
	return frame, nil
}

// echoesPayload reports whether something of the ping goes into the payload of
// a reply given whole.
func (f *Format) echoesPayload(reply *Reply) bool {
	return f.id.size > 0 && f.id.end() > f.payloadAt ||
		slices.ContainsFunc(reply.Echo, func(r Range) bool { return r.To > f.payloadAt })
}

// matchFields narrows m to the fields of a frame, where the format has them.
func (f *Format) matchFields(m *Match, frame *Frame) {
	for _, fd := range []struct {
		*field
		test  **Bits
		value uint32
	}{
		{&f.version, &m.Version, frame.Version},
		{&f.cmd, &m.Cmd, frame.Cmd},
		{&f.flag, &m.Flag, frame.Flag},
	} {
		if fd.size > 0 {
			*fd.test = Is(fd.value)
		}
	}
}

// checkEcho refuses to echo what is not there, and what says how to read the
// frame.
func (f *Format) checkEcho(l *Layout, reply *Reply) error {
	most, in := f.headerLen, "the header"
	if reply.Frame != nil {
		most, in = len(reply.Frame), "the frame given"
	}
	for _, r := range reply.Echo {
		if r.From < 0 || r.From >= r.To || r.To > most {
			return fmt.Errorf("echo %d-%d: want a range within %s of %d bytes", r.From, r.To, in, most)
		}
		echo := claim{name: "echo", offset: r.From, size: r.To - r.From}
		for _, c := range f.claims(l) {
			if c.name == "magic" || c.name == "length" {
				if err := overlap([]claim{c, echo}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
