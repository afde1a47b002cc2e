package delivery

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/session"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// What a client must not send ends its connection, and costs nothing that was good before it.
func TestHostile(t *testing.T) {
	frame := func(cmd, flag uint8, payload string) []byte { return wire.AppendFrame(nil, cmd, flag, []byte(payload)) }
	tests := []struct {
		name   string
		say    []byte
		reason string
		code   wire.ErrorCode
	}{
		{"an id that was used", publish(1, 1, "x"), "id", wire.ErrorID},
		{"an id far ahead", publish(1<<31+9, 1, "x"), "id", wire.ErrorID},
		{"the id 0", frame(app, wire.FlagQoS1|wire.FlagID, "\x00\x00\x00\x00x"), "malformed", wire.ErrorMalformed},
		{"QoS without an id", frame(app, wire.FlagQoS1, "abcdef"), "malformed", wire.ErrorMalformed},
		{"QoS 3", frame(app, wire.FlagQoS|wire.FlagID, "\x00\x00\x00\x02x"), "malformed", wire.ErrorMalformed},
		{"no room for the id", frame(app, wire.FlagQoS1|wire.FlagID, "abc"), "malformed", wire.ErrorMalformed},
		{"the reserved bit", frame(app, 0x80, "x"), "malformed", wire.ErrorMalformed},
		{"a wrong checksum", frame(app, wire.FlagCRC, "abcdefgh"), "checksum", wire.ErrorMalformed},
		{"PUBACK of what was never sent", ack(wire.CmdPubAck, 9), "id", wire.ErrorID},
		{"PUBREC of a message of QoS 1", ack(wire.CmdPubRec, 1), "id", wire.ErrorID},
		{"PUBCOMP before PUBREL", ack(wire.CmdPubComp, 1), "id", wire.ErrorID},
		{"PUBREL of what was never received", ack(wire.CmdPubRel, 9), "id", wire.ErrorID},
		{"an acknowledgement without an id", frame(wire.CmdPubAck, 0, ""), "malformed", wire.ErrorMalformed},
		{"an acknowledgement of the id 0", ack(wire.CmdPubAck, 0), "malformed", wire.ErrorMalformed},
		{"an acknowledgement with a flag", frame(wire.CmdPubRec, wire.FlagID, "\x00\x00\x00\x01"), "malformed", wire.ErrorMalformed},
		{"BYE with a payload", frame(wire.CmdBye, 0, "x"), "malformed", wire.ErrorMalformed},
		{"a PING that asks for nothing", frame(wire.CmdPing, 0, ""), "malformed", wire.ErrorMalformed},
		{"an ERROR without a code", frame(wire.CmdError, 0, "x"), "malformed", wire.ErrorMalformed},
		{"HELLO twice", frame(wire.CmdHello, 0, "x"), "protocol", wire.ErrorProtocol},
		{"WELCOME", frame(wire.CmdWelcome, 0, "x"), "protocol", wire.ErrorProtocol},
		{"GOAWAY", frame(wire.CmdGoAway, 0, "x"), "protocol", wire.ErrorProtocol},
		{"a command of nobody's", frame(0x0f, 0, "x"), "protocol", wire.ErrorProtocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, Settings{}, func(w *world) {
				t := w.t
				d := w.hello("c", nil)
				d.must(publish(1, 1, "a"))
				w.backend.push(0, "x")
				synctest.Wait()
				d.got()
				err := d.say(publish(2, 1, "b"), tt.say)
				var v *Violation
				if !errors.As(err, &v) || v.Reason != tt.reason || v.Code != tt.code {
					t.Fatalf("got %#v, want reason %s, code %d", err, tt.reason, tt.code)
				}
				if n := w.v.Stat().Violations[tt.reason]; n != 1 {
					t.Errorf("counted %d times", n)
				}
				wants(t, "backend", w.backend.received(), "a@0", "b@0")
				e := w.hello("c", d)
				if !e.hello.Resumed || e.hello.LastID != 2 {
					t.Fatalf("welcome after it: %+v", e.hello)
				}
				wants(t, "client", e.got(), "1:x@1 dup")
			})
		})
	}
}

func TestWindow(t *testing.T) {
	inWorld(t, Settings{Inflight: 3}, func(w *world) {
		t := w.t
		d := w.hello("c", nil)
		err := d.say(publish(1, 1, "a"), publish(2, 1, "b"), publish(3, 1, "c"), publish(4, 1, "d"))
		if v := (*Violation)(nil); !errors.As(err, &v) || v.Code != wire.ErrorLimit {
			t.Fatalf("the fourth in a window of 3: %v", err)
		}
		wants(t, "backend", w.backend.received(), "a@0", "b@0", "c@0")
		e := w.hello("c", d)
		w.backend.push(0, "1", "2", "3", "4", "5")
		synctest.Wait()
		wants(t, "client", e.got(), "1:1@1", "2:2@1", "3:3@1")
		e.must(ack(wire.CmdPubAck, 1))
		wants(t, "client", e.got(), "4:4@1")
	})
}

func TestTokens(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		t := w.t
		a := w.hello("c", nil)
		a.must(publish(1, 1, "a"))
		b := w.hello("c", a)
		b.leave() // it has not shown that it has its token: the one before is still good
		c := w.hello("c", a)
		c.must(publish(2, 1, "b"))
		for name, d := range map[string]*device{"spent": a, "spent too": b} {
			e, err := w.try("other", d)
			if err != nil || e.hello.Resumed {
				t.Fatalf("%s, by another client: %v", name, err)
			}
		}
		// A token that was spent gets a new session, and the old one ends.
		d := w.hello("c", a)
		if d.hello.Resumed {
			t.Fatal("resumed by a token that was spent")
		}
		if st := w.v.Stat(); st.Hellos["token"] != 2 || st.Hellos["unknown"] != 1 {
			t.Fatalf("hellos: %v", st.Hellos)
		}
		if !errors.Is(c.endedFor(), ErrTaken) {
			t.Fatalf("the connection of the old session ended for %v", c.endedFor())
		}
	})
}

func TestCertificate(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		t := w.t
		hash := session.Hash{1}
		h := Hello{Client: "c", Wanted: capabilities, Expiry: time.Hour, Certificate: hash}
		s, welcome, err := w.v.Hello(context.Background(), h)
		if err != nil {
			t.Fatal(err)
		}
		var f wire.Frame
		_, _ = decoder.Next(welcome.Frame, &f)
		greeting, _ := wire.ParseWelcome(f.Payload)
		h.Token, h.Certificate = greeting.Token, session.Hash{2}
		asked := errors.New("asked")
		h.Authorize = func() error { return asked }
		_, _, err = w.v.Hello(context.Background(), h)
		var r *Refusal
		if !errors.As(err, &r) || r.Code != wire.ErrorNotAuthorized || !errors.Is(err, asked) {
			t.Fatalf("with another certificate: %v", err)
		}
		h.Certificate = hash
		if _, welcome, err = w.v.Hello(context.Background(), h); err != nil || !welcome.Resumed {
			t.Fatalf("with its own: %v", err)
		}
		_ = s
	})
}

func TestClientIDs(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		t := w.t
		for _, id := range []string{"\x00", strings.Repeat("\xff\n", 127) + "x"} {
			d := w.hello(id, nil)
			d.must(publish(1, 1, "a"))
			if e := w.hello(id, d); !e.hello.Resumed {
				t.Errorf("%q is not resumed", id)
			}
		}
		for _, id := range []string{"", strings.Repeat("x", 256)} {
			if _, err := w.try(id, nil); err == nil {
				t.Errorf("%d bytes are taken", len(id))
			}
		}
	})
}

// A client that never acknowledges: its messages fail, and are bounded.
func TestNeverAcknowledges(t *testing.T) {
	inWorld(t, Settings{Bounds: queue.Bounds{Messages: 40}, Inflight: 10}, func(w *world) {
		t := w.t
		d := w.hello("c", nil)
		for range 20 {
			w.backend.push(0, "1", "2", "3", "4", "5", "6", "7", "8", "9", "10")
			time.Sleep(13 * time.Second)
			synctest.Wait()
		}
		st := w.v.Stat()
		if st.Failed[queue.Down] < 100 || st.Queue.Messages > 40 {
			t.Fatalf("%d failed, %d are kept", st.Failed[queue.Down], st.Queue.Messages)
		}
		d.got()
		// A failed message is delivered when an operator says so.
		failed := queue.Failed
		list, err := w.v.Messages(t.Context(), queue.Filter{State: &failed})
		if err != nil || len(list) == 0 || len(list) > 10 {
			t.Fatalf("%d failed messages, %v", len(list), err)
		}
		time.Sleep(time.Minute)
		d.got()
		if err := w.v.Requeue(t.Context(), list[0].Box, list[0].Message.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := d.got(); len(got) != 1 || !strings.Contains(got[0], string(list[0].Message.Payload)+"@1") {
			t.Fatalf("requeued: got %v", got)
		}
		if err := w.v.Drop(t.Context(), list[1].Box, list[1].Message.ID); err != nil {
			t.Fatal(err)
		}
		if len(w.events) == 0 || w.events[0].Kind != MessageFailed {
			t.Fatalf("events: %v", w.events)
		}
	})
}

// A client that publishes without end to a backend that is away: it is held, and what it sends all the same is refused; what was acknowledged arrives.
func TestEndlessPublisher(t *testing.T) {
	inWorld(t, Settings{Bounds: queue.Bounds{Messages: 100}}, func(w *world) {
		t := w.t
		w.backend.away()
		d := w.hello("c", nil)
		held, id, acked := false, uint32(0), 0
		for !held {
			id++
			if err := d.s.Take(d, time.Now(), frameOf(publish(id, 1, "x"))); err != nil {
				t.Fatal(err)
			}
			held = d.s.Flush(d, time.Now())
			synctest.Wait()
		}
		if id < 75 || id > 80 {
			t.Fatalf("held after %d messages of 100", id)
		}
		for d.endedFor() == nil {
			id++
			_ = d.say(publish(id, 1, "x"))
			if id > 200 {
				t.Fatal("never refused")
			}
		}
		for _, g := range d.got() {
			if strings.HasPrefix(g, "ack ") {
				acked++
			}
		}
		var v *Violation
		if err := d.endedFor(); !errors.As(err, &v) || v.Code != wire.ErrorQueueFull {
			t.Fatalf("ended for %v", err)
		}
		if acked != 100 || w.v.Stat().Queue.Messages != 100 {
			t.Fatalf("%d acknowledged, %d kept, want 100", acked, w.v.Stat().Queue.Messages)
		}
		e := w.hello("c", d)
		if e.hello.LastID != 100 {
			t.Fatalf("WELCOME says %d", e.hello.LastID)
		}
		w.backend.back()
		synctest.Wait()
		if n := len(w.backend.received()); n != 100 {
			t.Fatalf("%d have arrived", n)
		}
		e.must(again(publish(101, 1, "x")))
		wants(t, "client", e.got(), "ack 101")
	})
}

func frameOf(b []byte) *wire.Frame {
	f := new(wire.Frame)
	if _, err := decoder.Next(b, f); err != nil {
		panic(err)
	}
	return f
}
