package qos

import (
	"testing"
	"time"
	"unsafe"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// A message in flight costs its place in a table that is there.
func TestAllocs(t *testing.T) {
	s := NewSender(Limits{Window: 64, AckTimeout: 3 * time.Second, MaxRetries: 3}, 0)
	r := NewReceiver(0)
	var last uint64
	now := start
	window := func() {
		now = now.Add(time.Second)
		first := last + 1
		for range 64 {
			last = Next(last)
			if !s.Sent(last, 2, now) {
				t.Fatal("not sent")
			}
			if _, v := r.Take(uint32(last), false); v != New {
				t.Fatal("not taken")
			}
		}
		r.Safe(last)
		s.Restart(s.limits)
		for _, a := s.Due(now); a != Nothing; _, a = s.Due(now) {
		}
		for id := first; id <= last; id++ {
			full, o := s.Ack(wire.CmdPubRec, uint32(id))
			if o != Release || !s.Release(full, now) || !r.Release(uint32(id)) {
				t.Fatal("not released")
			}
			if _, o := s.Ack(wire.CmdPubComp, uint32(id)); o != Done {
				t.Fatal("not done")
			}
		}
	}
	window()
	if n := testing.AllocsPerRun(100, window); n != 0 {
		t.Errorf("%v allocations in a window of 64 messages, want 0", n)
	}
}

// A session that is idle holds both of them, and one each way.
func TestSize(t *testing.T) {
	if n := unsafe.Sizeof(Sender{}); n > 128 {
		t.Errorf("a Sender has %d bytes", n)
	}
	if n := unsafe.Sizeof(Receiver{}); n > 24 {
		t.Errorf("a Receiver has %d bytes", n)
	}
	s := NewSender(limits, 0)
	s.Sent(1, 1, start)
	s.Trim()
	if s.InFlight() != 1 {
		t.Error("Trim has lost a message")
	}
	s.Ack(wire.CmdPubAck, 1)
	if s.Trim(); s.table.places != nil {
		t.Error("Trim keeps the table")
	}
}

func BenchmarkSender(b *testing.B) {
	s := NewSender(Limits{Window: 64, AckTimeout: 3 * time.Second, MaxRetries: 3}, 0)
	b.ReportAllocs()
	var last uint64
	for b.Loop() {
		last = Next(last)
		s.Sent(last, 1, start)
		if s.Room() == 0 {
			for id := last - 63; id <= last; id++ {
				s.Ack(wire.CmdPubAck, uint32(id))
			}
		}
	}
}
