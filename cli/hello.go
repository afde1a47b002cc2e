package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// sessionArgs are the arguments of commands that say HELLO: send and bench.
type sessionArgs struct {
	qos        uint8
	clientID   string
	credential string // itself, or @ and a file
}

// options are the session's for a client of this id.
func (a sessionArgs) options(clientID string) (*client.SessionOptions, error) {
	credential, err := a.secret()
	if err != nil {
		return nil, err
	}
	if n := len(clientID); n > 255 {
		return nil, fmt.Errorf("--client-id: %d bytes, and HELLO has room for 255", n)
	}
	return &client.SessionOptions{
		ClientID:   clientID,
		Credential: func(context.Context) ([]byte, error) { return credential, nil },
	}, nil
}

// secret is the credential. That of a file has no line end.
func (a sessionArgs) secret() ([]byte, error) {
	file, ok := strings.CutPrefix(a.credential, "@")
	if !ok {
		return []byte(a.credential), nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--credential: %w", err)
	}
	return bytes.TrimRight(b, "\r\n"), nil
}

// checkMessage says what of a message can't be, and what would be right.
func checkMessage(cmd uint8, payload int) error {
	if cmd < wire.CmdApp {
		return fmt.Errorf("--cmd 0x%02X: where there is a session, commands below 0x%02X are the protocol's", cmd, wire.CmdApp)
	}
	if most := wire.MaxPayload - (&wire.Ext{ID: 1}).Overhead(); payload > most {
		return fmt.Errorf("a payload of %d bytes: beside its id a message has room for %d", payload, most)
	}
	return nil
}

// open connects a client as the arguments say, and has its session. ctx bounds that.
func (d *dialer) open(ctx context.Context, session *client.SessionOptions, onState func(client.Change)) (*client.Client, error) {
	c, err := client.Dial(ctx, d.addr, client.Options{
		TLS: d.tls, Dial: d.tcp, DialTimeout: d.timeout, Session: session, OnState: onState,
		Reconnect: client.Reconnect{Strategy: client.Fixed, Initial: againAfter, Attempts: 1, Pause: againAfter}, // a failure is a pause, of which onState is told
	})
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "read" && op.Timeout() || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("%w (is it a gateway that has sessions?)", err)
		}
		return nil, explain(err)
	}
	return c, nil
}

// againAfter is how long a connection of such a client that is lost stays so.
const againAfter = 200 * time.Millisecond

// final reports whether a client that has lost its connection had better not come back.
func final(err error) bool {
	return errors.Is(err, client.ErrRefused) || errors.Is(err, client.ErrTakenOver) || errors.Is(err, client.ErrEnded) || errors.Is(err, client.ErrProtocol)
}
