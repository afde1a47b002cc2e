package qos

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Whatever a hostile peer acknowledges, in whatever order: the Sender is at one with a model that is as simple as can be, and its table does not grow.
func FuzzSender(f *testing.F) {
	f.Add(uint64(1), []byte{0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Add(uint64(2), slices.Repeat([]byte{0, 1, 0, 3, 5}, 50))
	f.Fuzz(checkSender)
}

func TestSenderIsAtOneWithItsModel(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		ops := make([]byte, 400)
		for i := range ops {
			ops[i] = byte(r.Uint32())
		}
		checkSender(t, seed, ops)
	}
}

// expected is a message in flight as the model has it.
type expected struct {
	qos   uint8
	phase phase
}

func checkSender(t *testing.T, seed uint64, ops []byte) {
	r := rand.New(rand.NewPCG(seed, 2))
	const window = 16
	l := Limits{Window: window, AckTimeout: 3 * time.Second, MaxRetries: 1}
	last := uint64(r.IntN(2)) * (1<<32 - 20)
	s := NewSender(l, last)
	model := map[uint64]expected{}
	now := start
	restarted := []uint64(nil) // what is due first, as of the last Restart

	for _, op := range ops {
		now = now.Add(time.Duration(op) * 10 * time.Millisecond)
		near := uint32(last) - uint32(r.IntN(2*window)) + 2
		switch op % 8 {
		case 0, 1, 2:
			id, qos := Next(last), uint8(1+r.IntN(2))
			if ok := s.Sent(id, qos, now); ok != (len(model) < window && len(restarted) == 0) {
				t.Fatalf("sent %d: %v, with %d in flight", id, ok, len(model))
			} else if ok {
				model[id], last = expected{qos, sent}, id
			}
		case 3, 4, 5:
			cmd := []uint8{wire.CmdPubAck, wire.CmdPubRec, wire.CmdPubComp, wire.CmdPubRel}[r.IntN(4)]
			full, o := s.Ack(cmd, near)
			var named uint64 // the message in flight that it names
			for id := range model {
				if uint32(id) == near {
					named = id
				}
			}
			m, want := model[named], Forged
			switch {
			case named == 0 && o == Late && full <= last:
				want = Late
			case cmd == wire.CmdPubAck && m.qos == 1, cmd == wire.CmdPubComp && m.phase == released:
				want = Done
				delete(model, named)
			case cmd == wire.CmdPubRec && m.phase == sent && m.qos == 2:
				want = Release
				model[named] = expected{2, received}
			case cmd == wire.CmdPubRec && m.qos == 2:
				want = Late
			}
			if o != want || o != Forged && uint32(full) != near || named != 0 && o != Forged && full != named {
				t.Fatalf("acknowledgement %#x of %d: %d, outcome %d, want %d", cmd, near, full, o, want)
			}
			if o == Done || o == Release {
				restarted = slices.DeleteFunc(restarted, func(id uint64) bool { return id == full })
			}
		case 6:
			for id, m := range model {
				if m.phase == received {
					if !s.Release(id, now) {
						t.Fatalf("%d can't be released", id)
					}
					model[id] = expected{2, released}
				}
			}
		case 7:
			if r.IntN(4) == 0 {
				s.Restart(l)
				restarted = restarted[:0]
				for id, m := range model {
					if m.phase != received {
						restarted = append(restarted, id)
					}
				}
				slices.Sort(restarted)
			}
			id, a := s.Due(now)
			m, there := model[id]
			if a == Nothing {
				break
			}
			if !there || m.phase == received || (a == SendAgain || a == GiveUp) != (m.phase == sent) {
				t.Fatalf("%d is due (%d), the model has %+v", id, a, m)
			}
			if len(restarted) > 0 {
				if restarted[0] != id {
					t.Fatalf("%d comes before %d", id, restarted[0])
				}
				restarted = restarted[1:]
			}
			if a == GiveUp || a == Forget {
				delete(model, id)
			}
		}
		if s.InFlight() != len(model) || len(s.table.used()) > max(2*len(model), 1) || len(s.table.places) > 4*window {
			t.Fatalf("%d in flight in %d of %d places, the model has %d", s.InFlight(), len(s.table.used()), len(s.table.places), len(model))
		}
		if !s.next.IsZero() && len(model) == 0 {
			t.Fatal("nothing is in flight, and something is to be late")
		}
	}
}

// Whatever comes: no id is new twice, nor new after a higher one.
func FuzzReceiver(f *testing.F) {
	f.Add(uint64(0), []byte{1, 2, 3, 130, 131, 4})
	f.Add(uint64(1<<32-3), []byte{1, 2, 3, 130, 131, 4})
	f.Fuzz(func(t *testing.T, last uint64, ops []byte) {
		if last > 1<<62 || last != 0 && uint32(last) == 0 {
			return
		}
		r := NewReceiver(last)
		highest := last
		for _, op := range ops {
			id := uint32(highest) + uint32(op&0x3F) - 16
			full, v := r.Take(id, op&0x80 != 0)
			switch v {
			case New:
				if full <= highest && highest > 0 || uint32(full) != id {
					t.Fatalf("%d is new as %d, after %d", id, full, highest)
				}
				highest = full
			case Duplicate, Pending:
				if full > highest || op&0x80 == 0 || (v == Duplicate) != (full <= r.Last()) {
					t.Fatalf("%d came before (%d), up to %d of %d", full, v, r.Last(), highest)
				}
			}
			if op&0x40 != 0 {
				r.Safe(full)
			}
			if r.Last() > highest || r.Release(id) && full > r.Last() {
				t.Fatalf("%d is safe, of %d", r.Last(), highest)
			}
		}
	})
}
