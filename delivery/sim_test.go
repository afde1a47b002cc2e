package delivery

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

var rounds = flag.Int("rounds", 20, "how many lives TestLives simulates of each kind")

// simulated is a device that publishes numbers, and counts what comes.
type simulated struct {
	w        *world
	r        *rand.Rand
	d        *device
	before   *device // the last that got a WELCOME
	next     uint32  // the id of the next message
	unacked  []uint32
	acked    map[uint32]bool // acknowledged
	last     uint32          // the highest id that came
	received []int           // numbers that came, in order
	sessions int
}

const simWindow = 8

func text(session int, id uint32) string { return fmt.Sprintf("%d.%d", session, id) }

// connect has the device come, and repeat what was not acknowledged.
func (m *simulated) connect() {
	d, err := m.w.try("c", m.before)
	if err != nil {
		return // a store is away
	}
	if !d.hello.Resumed && m.sessions > 0 {
		m.w.t.Fatalf("the session is lost: %v", m.w.v.Stat().Hellos)
	}
	m.sessions = 1
	m.d, m.before = d, d
	for len(m.unacked) > 0 && m.unacked[0] <= d.hello.LastID {
		m.acked[m.unacked[0]] = true
		m.unacked = m.unacked[1:]
	}
	for _, id := range m.unacked {
		m.say(again(publish(id, 1+uint8(id%2), text(0, id))))
	}
}

// say sends, if the connection is there.
func (m *simulated) say(frames ...[]byte) {
	if m.d == nil {
		return
	}
	if m.d.endedFor() != nil {
		m.d = nil
		return
	}
	if err := m.d.say(frames...); err != nil {
		if !errors.Is(err, ErrTaken) {
			m.w.t.Fatalf("the gateway complains: %v", err)
		}
		m.d = nil
	}
}

// read takes what has come.
func (m *simulated) read() {
	if m.d == nil {
		return
	}
	var f wire.Frame
	m.d.mu.Lock()
	b := m.d.in
	m.d.in = nil
	m.d.mu.Unlock()
	for len(b) > 0 {
		n, err := decoder.Next(b, &f)
		if n == 0 || err != nil {
			m.w.t.Fatalf("the device got what is no frame: %v", err)
		}
		b = b[n:]
		id, isAck := wire.ParseAck(f.Payload)
		switch cmd := uint8(f.Cmd); {
		case cmd == wire.CmdPubAck || cmd == wire.CmdPubRec || cmd == wire.CmdPubComp:
			if i := slices.Index(m.unacked, id); i >= 0 {
				m.unacked = slices.Delete(m.unacked, i, i+1)
				m.acked[id] = true
			}
			if cmd == wire.CmdPubRec {
				m.say(ack(wire.CmdPubRel, id))
			}
		case cmd == wire.CmdPubRel:
			m.say(ack(wire.CmdPubComp, id))
		case cmd < wire.CmdApp:
			m.w.t.Fatalf("the device got command %x, %v", cmd, isAck)
		default:
			e, err := wire.ParseExt(&f)
			if err != nil {
				m.w.t.Fatal(err)
			}
			if e.ID > m.last {
				m.last = e.ID
				number, _ := strconv.Atoi(string(e.Payload))
				m.received = append(m.received, number)
			} else if !e.Dup {
				m.w.t.Fatalf("message %d came again without DUP", e.ID)
			}
			if m.d == nil {
				return
			}
			if m.r.IntN(8) == 0 { // it dies before it can say so
				m.d.leave()
				m.d = nil
				return
			}
			m.say(ack(receiptFor(e.QoS), e.ID))
		}
	}
}

func (m *simulated) publish() {
	if m.d == nil || len(m.unacked) >= simWindow {
		return
	}
	m.next++
	m.unacked = append(m.unacked, m.next)
	m.say(publish(m.next, 1+uint8(m.next%2), text(0, m.next)))
}

// Whatever dies, and whenever, what was acknowledged arrives, in order; by an extended backend, and by the client, once.
func TestLives(t *testing.T) {
	for _, extended := range []bool{false, true} {
		for seed := range *rounds {
			t.Run(fmt.Sprintf("extended=%v/%d", extended, seed), func(t *testing.T) { simulate(t, extended, uint64(seed)) })
		}
	}
}

func simulate(t *testing.T, extended bool, seed uint64) {
	inWorld(t, Settings{Extended: extended, Inflight: simWindow}, func(w *world) {
		m := &simulated{w: w, r: rand.New(rand.NewPCG(seed, 1)), acked: make(map[uint32]bool)}
		for range 300 {
			switch m.r.IntN(20) {
			case 0:
				if m.d != nil {
					m.d.leave()
					m.d = nil
				}
			case 1:
				m.connect()
			case 2:
				w.backend.away()
			case 3, 4:
				w.backend.back()
			case 5:
				if m.r.IntN(3) == 0 {
					w.crash()
					m.d = nil
				}
			case 6:
				w.plug.lossy.Store(!w.plug.lossy.Load())
			case 7:
				for range m.r.IntN(40) {
					time.Sleep(time.Second)
					synctest.Wait()
					m.read()
				}
			case 8, 9, 10:
				w.backend.publish(m.r.IntN(3) + 1)
			case 11, 12:
				if m.d == nil {
					m.connect()
				}
			default:
				m.publish()
			}
			if m.r.IntN(2) == 0 {
				synctest.Wait()
				m.read()
			}
		}
		w.plug.lossy.Store(false)
		w.backend.back()
		for range 40 {
			time.Sleep(time.Second)
			if m.d == nil || m.d.endedFor() != nil {
				m.connect()
			}
			synctest.Wait()
			m.read()
		}
		m.check(extended)
	})
}

func (m *simulated) check(extended bool) {
	t := m.w.t
	if m.d == nil {
		t.Fatal("the device is not connected in the end")
	}
	if len(m.unacked) > 0 {
		t.Errorf("not acknowledged in the end: %v", m.unacked)
	}
	b := m.w.backend
	for id := range m.acked {
		switch n := b.seen[text(0, id)]; {
		case n == 0:
			t.Errorf("message %d was acknowledged, and has not arrived", id)
		case n > 1 && extended:
			t.Errorf("message %d has arrived %d times", id, n)
		}
	}
	highest := 0
	first := make(map[string]bool)
	for _, word := range b.got {
		name, _, _ := strings.Cut(word[strings.Index(word, ":")+1:], "@")
		if first[name] {
			continue
		}
		first[name] = true
		id, _ := strconv.Atoi(strings.TrimPrefix(name, "0."))
		if id <= highest {
			t.Errorf("message %d came first after %d", id, highest)
		}
		highest = id
	}
	if !slices.IsSorted(m.received) || len(slices.Compact(slices.Clone(m.received))) != len(m.received) {
		t.Errorf("the client got %v", m.received)
	}
	if extended {
		for _, n := range b.accepted() {
			if !slices.Contains(m.received, n) {
				t.Errorf("message %d to the client was acknowledged, and has not arrived", n)
			}
		}
	}
	if i := m.d.s.Info(); i.Up.Messages > 0 || i.Down.Messages > 0 {
		t.Errorf("left over: %+v", i)
	}
}
