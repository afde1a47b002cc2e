package qos

import (
	"slices"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

var (
	start  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	limits = Limits{Window: 4, AckTimeout: 3 * time.Second, MaxRetries: 3}
)

type due struct {
	id uint64
	do Action
}

// dues calls Due until there is nothing.
func dues(s *Sender, at time.Duration) (all []due) {
	for {
		id, a := s.Due(start.Add(at))
		if a == Nothing {
			return all
		}
		all = append(all, due{id, a})
	}
}

func wantDues(t *testing.T, s *Sender, at time.Duration, want ...due) {
	t.Helper()
	if got := dues(s, at); !slices.Equal(got, want) {
		t.Errorf("due after %v: %v, want %v", at, got, want)
	}
}

func wantAck(t *testing.T, s *Sender, cmd uint8, id uint32, full uint64, want Outcome) {
	t.Helper()
	if got, o := s.Ack(cmd, id); o != want || got != full {
		t.Errorf("acknowledgement %d of %d: message %d, outcome %d; want %d, %d", cmd, id, got, o, full, want)
	}
}

func send(t *testing.T, s *Sender, id uint64, qos uint8, at time.Duration) {
	t.Helper()
	if !s.Sent(id, qos, start.Add(at)) {
		t.Fatalf("message %d at QoS %d could not be sent", id, qos)
	}
}

func TestSenderQoS1(t *testing.T) {
	s := NewSender(limits, 0)
	send(t, &s, 1, 1, 0)
	send(t, &s, 2, 1, time.Second)
	if d := s.Deadline(); d != start.Add(3*time.Second) {
		t.Errorf("deadline %v", d)
	}
	wantDues(t, &s, 2999*time.Millisecond)
	wantDues(t, &s, 3*time.Second, due{1, SendAgain})
	wantAck(t, &s, wire.CmdPubAck, 1, 1, Done)
	wantAck(t, &s, wire.CmdPubAck, 1, 1, Late)
	wantDues(t, &s, 4*time.Second, due{2, SendAgain})
	wantDues(t, &s, 7*time.Second, due{2, SendAgain})
	wantDues(t, &s, 10*time.Second, due{2, SendAgain})
	wantDues(t, &s, 13*time.Second, due{2, GiveUp})
	wantAck(t, &s, wire.CmdPubAck, 2, 2, Late)
	if s.InFlight() != 0 || s.Room() != 4 || !s.Deadline().IsZero() {
		t.Errorf("%d in flight, room %d, deadline %v", s.InFlight(), s.Room(), s.Deadline())
	}
}

func TestSenderQoS2(t *testing.T) {
	s := NewSender(limits, 0)
	send(t, &s, 1, 2, 0)
	wantAck(t, &s, wire.CmdPubRec, 1, 1, Release)
	wantAck(t, &s, wire.CmdPubRec, 1, 1, Late)
	// While the owner's store is at work nothing is repeated.
	wantDues(t, &s, time.Hour)
	wantAck(t, &s, wire.CmdPubComp, 1, 0, Forged)
	if !s.Release(1, start.Add(time.Hour)) || s.Release(1, start.Add(time.Hour)) {
		t.Error("released not at all, or twice")
	}
	wantDues(t, &s, time.Hour+3*time.Second, due{1, ReleaseAgain})
	wantAck(t, &s, wire.CmdPubRec, 1, 1, Late)
	wantAck(t, &s, wire.CmdPubComp, 1, 1, Done)
	wantAck(t, &s, wire.CmdPubComp, 1, 1, Late)

	// Who never answers PUBREL has the message all the same.
	send(t, &s, 2, 2, 0)
	wantAck(t, &s, wire.CmdPubRec, 2, 2, Release)
	s.Release(2, start)
	for i := range 3 {
		wantDues(t, &s, time.Duration(i+1)*3*time.Second, due{2, ReleaseAgain})
	}
	wantDues(t, &s, 12*time.Second, due{2, Forget})
}

func TestSenderRestart(t *testing.T) {
	s := NewSender(limits, 0)
	send(t, &s, 1, 1, 0)
	send(t, &s, 2, 2, 0)
	send(t, &s, 3, 2, 0)
	send(t, &s, 4, 2, 0)
	if s.Room() != 0 || s.Sent(5, 1, start) {
		t.Error("more than the window was sent")
	}
	wantAck(t, &s, wire.CmdPubRec, 2, 2, Release)
	s.Release(2, start)
	wantAck(t, &s, wire.CmdPubRec, 3, 3, Release) // and the store has not answered yet
	wantDues(t, &s, 3*time.Second, due{1, SendAgain}, due{2, ReleaseAgain}, due{4, SendAgain})

	smaller := limits
	smaller.Window = 2
	s.Restart(smaller)
	// 3 takes a place, as it waits for the store.
	wantDues(t, &s, time.Minute, due{1, SendAgain})
	wantAck(t, &s, wire.CmdPubAck, 1, 1, Done)
	wantDues(t, &s, time.Minute, due{2, ReleaseAgain})
	s.Release(3, start.Add(time.Minute))
	wantAck(t, &s, wire.CmdPubComp, 3, 3, Done)
	if s.Room() != 0 {
		t.Error("a new message would go before an old one")
	}
	wantDues(t, &s, time.Minute, due{4, SendAgain})
	wantAck(t, &s, wire.CmdPubComp, 2, 2, Done)
	if s.Room() != 1 {
		t.Errorf("room %d", s.Room())
	}
	send(t, &s, 5, 1, time.Minute)
}

// A gateway that was killed knows from its store what to send, and what was received already.
func TestSenderAfterACrash(t *testing.T) {
	s := NewSender(limits, 9)
	wantAck(t, &s, wire.CmdPubAck, 8, 8, Late) // the client acknowledges what came before the crash
	if !s.Release(6, start) {
		t.Error("6 was received, and is not to be released")
	}
	send(t, &s, 8, 1, 0)
	wantAck(t, &s, wire.CmdPubComp, 6, 6, Done)
	wantAck(t, &s, wire.CmdPubAck, 8, 8, Done)
	wantAck(t, &s, wire.CmdPubAck, 10, 0, Forged)
}

func TestSenderHostileAcks(t *testing.T) {
	s := NewSender(limits, 0)
	wantAck(t, &s, wire.CmdPubAck, 1, 0, Forged)
	send(t, &s, 5, 1, 0)
	send(t, &s, 6, 2, 0)
	wantAck(t, &s, wire.CmdPubAck, 0, 0, Forged)
	wantAck(t, &s, wire.CmdPubAck, 7, 0, Forged)
	wantAck(t, &s, wire.CmdPubAck, 1<<31+5, 0, Forged)
	wantAck(t, &s, wire.CmdPubRec, 5, 0, Forged)
	wantAck(t, &s, wire.CmdPubComp, 5, 0, Forged)
	wantAck(t, &s, wire.CmdPubAck, 6, 0, Forged)
	wantAck(t, &s, wire.CmdPubComp, 6, 0, Forged)
	wantAck(t, &s, wire.CmdPubRel, 6, 0, Forged)
	if s.InFlight() != 2 {
		t.Errorf("%d in flight", s.InFlight())
	}
	for _, id := range []uint64{6, 5, 1 << 32} {
		if s.Sent(id, 1, start) {
			t.Errorf("%d was sent", id)
		}
	}
	if s.Sent(7, 0, start) || s.Sent(7, 3, start) {
		t.Error("a QoS that needs no Sender was taken")
	}
}
