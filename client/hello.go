package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// greet says HELLO on a connection that is new, and waits for WELCOME. It reads no byte more than that.
func (s *session) greet(ctx context.Context, nc net.Conn, token []byte) (wire.Welcome, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.WelcomeTimeout)
	defer cancel()
	var credential []byte
	if s.opt.Credential != nil {
		var err error
		if credential, err = s.opt.Credential(ctx); err != nil {
			return wire.Welcome{}, fmt.Errorf("no credential: %w", err)
		}
		if len(credential) > maxCredential {
			return wire.Welcome{}, fmt.Errorf("a credential of %d bytes: HELLO has room for %d", len(credential), maxCredential)
		}
	}
	hello := wire.Hello{
		Capabilities: wire.CapQoS | wire.CapResume | wire.CapPong,
		Expiry:       s.opt.Expiry,
		ClientID:     []byte(s.opt.ClientID),
		Token:        token,
		Credential:   credential,
	}
	if s.opt.CRC {
		hello.Capabilities |= wire.CapCRC
	}
	frame, err := wire.AppendHello(nil, &hello)
	if err != nil {
		return wire.Welcome{}, err
	}

	// The past interrupts what is under way.
	interrupt := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	defer interrupt()
	welcome, err := exchange(nc, frame)
	if !interrupt() { // the deadline is set, or about to be
		if ctx.Err() != nil && err != nil {
			err = fmt.Errorf("%w: %w", ctx.Err(), err)
		}
		if err == nil {
			err = ctx.Err()
		}
	}
	if err != nil {
		return wire.Welcome{}, fmt.Errorf("HELLO: %w", err)
	}
	if welcome.Capabilities&wire.CapQoS == 0 {
		return wire.Welcome{}, fmt.Errorf("HELLO: %w: it grants no quality of service", ErrRefused)
	}
	return welcome, nil
}

// exchange writes a HELLO and reads what answers it.
func exchange(nc net.Conn, hello []byte) (wire.Welcome, error) {
	if _, err := nc.Write(hello); err != nil {
		return wire.Welcome{}, err
	}
	for {
		f, err := readFrame(nc)
		if err != nil {
			return wire.Welcome{}, err
		}
		if f.Cmd == wire.CmdPing && f.Flag == wire.FlagReq {
			if _, err := nc.Write(wire.AppendFrame(nil, wire.CmdPong, wire.FlagRsp, f.Payload)); err != nil {
				return wire.Welcome{}, err
			}
			continue
		}
		if f.Cmd < wire.CmdApp {
			if err := wire.CheckControl(&f); err != nil {
				return wire.Welcome{}, err
			}
		}
		switch f.Cmd {
		case wire.CmdWelcome:
			w, _ := wire.ParseWelcome(f.Payload)
			return w, nil
		case wire.CmdError:
			e, _ := wire.ParseError(&f)
			return wire.Welcome{}, fmt.Errorf("%w: %w", ErrRefused, &e)
		case wire.CmdGoAway:
			g, _ := wire.ParseGoAway(f.Payload)
			return wire.Welcome{}, &GoAwayError{Reason: g.Reason, After: g.After}
		}
		return wire.Welcome{}, fmt.Errorf("%w: command 0x%02X instead of WELCOME; has it sessions?", errNoWelcome, f.Cmd)
	}
}

var errNoWelcome = errors.New("the peer answers HELLO with something else")

// maxGreeting is longer than the payload of any WELCOME, ERROR or GOAWAY.
const maxGreeting = 4 << 10

var greetingDecoder = func() *wire.Decoder {
	d, err := wire.GOPR.NewDecoder(wire.Rules{MaxPayload: maxGreeting})
	if err != nil {
		panic(err) // the rules are constant
	}
	return d
}()

// readFrame reads one frame, and not a byte more.
func readFrame(r io.Reader) (f wire.Frame, err error) {
	raw := make([]byte, wire.HeaderLen, 128)
	if _, err := io.ReadFull(r, raw); err != nil {
		return f, noAnswer(err)
	}
	size, err := greetingDecoder.Header(raw, &f)
	if err != nil {
		return f, err
	}
	raw = append(raw, make([]byte, size-len(raw))...)
	if _, err := io.ReadFull(r, raw[wire.HeaderLen:]); err != nil {
		return f, noAnswer(err)
	}
	_, err = greetingDecoder.Next(raw, &f)
	return f, err
}

// noAnswer says of a connection that the peer has closed that it did so instead of an answer: a gateway without sessions may do that.
func noAnswer(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("closed instead of WELCOME: %w", io.ErrUnexpectedEOF)
	}
	return err
}
