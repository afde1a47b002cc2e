package e2e

import (
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// hello says HELLO, and returns what WELCOME says.
func (d *device) hello(client string, token []byte) (w wire.Welcome, err error) {
	b, err := wire.AppendHello(nil, &wire.Hello{
		Capabilities: wire.CapQoS | wire.CapResume, Expiry: time.Hour, ClientID: []byte(client), Token: token,
	})
	if err != nil {
		return w, err
	}
	if err := d.send(b); err != nil {
		return w, err
	}
	f, err := d.next()
	if err != nil {
		return w, err
	}
	w, ok := wire.ParseWelcome(f.Payload)
	if f.Cmd != wire.CmdWelcome || !ok {
		return w, fmt.Errorf("got %.64x, want WELCOME", f.Raw)
	}
	w.Token = slices.Clone(w.Token)
	return w, nil
}

// publish sends a message and goes all the way until it is safe.
func (d *device) publish(id uint32, qos uint8, dup bool, payload string) error {
	b, err := wire.AppendExt(nil, wire.CmdApp, &wire.Ext{QoS: qos, ID: id, Dup: dup, Payload: []byte(payload)})
	if err != nil {
		return err
	}
	if err := d.send(b); err != nil {
		return err
	}
	if qos == 1 {
		return d.expect(wire.AppendAck(nil, wire.CmdPubAck, id))
	}
	if err := d.expect(wire.AppendAck(nil, wire.CmdPubRec, id)); err != nil {
		return err
	}
	if err := d.send(wire.AppendAck(nil, wire.CmdPubRel, id)); err != nil {
		return err
	}
	return d.expect(wire.AppendAck(nil, wire.CmdPubComp, id))
}

// message reads the next frame, which must be a message with that payload, and returns it.
func (d *device) message(payload string) (e wire.Ext, err error) {
	f, err := d.next()
	if err != nil {
		return e, err
	}
	if e, err = wire.ParseExt(&f); err != nil || f.Cmd < wire.CmdApp || string(e.Payload) != payload {
		return e, fmt.Errorf("got %.64x (%w), want the message %q", f.Raw, err, payload)
	}
	return e, nil
}

// goAway reads the next frame, which must be a GOAWAY with that reason, and waits for the end.
func (d *device) goAway(reason wire.GoAwayReason) (g wire.GoAway, err error) {
	f, err := d.next()
	if err != nil {
		return g, err
	}
	g, ok := wire.ParseGoAway(f.Payload)
	if f.Cmd != wire.CmdGoAway || !ok || g.Reason != reason {
		return g, fmt.Errorf("got %.64x, want GOAWAY for %v", f.Raw, reason)
	}
	return g, d.ended()
}

// isError reads the next frame, which must be an ERROR with that code, and waits for the end.
func (d *device) isError(code wire.ErrorCode) error {
	f, err := d.next()
	if err != nil {
		return err
	}
	e, ok := wire.ParseError(&f)
	if f.Cmd != wire.CmdError || !ok || e.Code != code {
		return fmt.Errorf("got %.64x, want an ERROR of %v", f.Raw, code)
	}
	return d.ended()
}

// A keeper is a plain backend that keeps what it gets, and says what the test wants it to.
type keeper struct {
	*backend

	mu    sync.Mutex // guards all below
	got   []string   // payloads, in their order
	links []net.Conn // that there were
}

func newKeeper(t testing.TB) *keeper {
	k := new(keeper)
	k.backend = newBackend(t, k.serve)
	return k
}

func (k *keeper) serve(nc net.Conn, _ <-chan struct{}) {
	k.mu.Lock()
	k.links = append(k.links, nc)
	k.mu.Unlock()
	d := &device{Conn: nc, forever: true}
	for {
		f, err := d.next()
		if err != nil {
			return
		}
		if f.Cmd == wire.CmdPing && f.Flag == wire.FlagReq {
			_, _ = nc.Write(pong(f.Payload))
			continue
		}
		k.mu.Lock()
		k.got = append(k.got, string(f.Payload))
		k.mu.Unlock()
	}
}

// has waits until it has got these, and nothing else.
func (k *keeper) has(t testing.TB, payloads ...string) {
	t.Helper()
	var got []string
	eventually(t, fmt.Sprintf("the backend has %q", payloads), func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		got = slices.Clone(k.got)
		return len(got) >= len(payloads)
	})
	if !slices.Equal(got, payloads) {
		t.Fatalf("the backend has %q, want %q", got, payloads)
	}
}

// says sends a frame over the newest link.
func (k *keeper) says(t testing.TB, payload string) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, err := k.links[len(k.links)-1].Write(wire.AppendFrame(nil, wire.CmdApp, 0, []byte(payload))); err != nil {
		t.Fatal(err)
	}
}

// linked returns how many links there were.
func (k *keeper) linked() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.links)
}
