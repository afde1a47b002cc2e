package qos

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// stored is a message in a peer's store.
type stored struct {
	id       uint64
	number   uint64 // of the application's own, which is the payload
	qos      uint8
	received bool // PUBREC has come
}

// disk is what outlives a peer's process.
type disk struct {
	last   uint64   // the highest id given
	outbox []stored // in the order of the ids
	failed []uint64 // numbers given up

	received uint64   // the highest id received, which is written with
	inbox    []uint64 // the numbers received, in their order
}

func (d *disk) find(id uint64) int {
	for i := range d.outbox {
		if d.outbox[i].id == id {
			return i
		}
	}
	return -1
}

func (d *disk) remove(id uint64) {
	if i := d.find(id); i >= 0 {
		d.outbox = append(d.outbox[:i], d.outbox[i+1:]...)
	}
}

// write is a change on its way to the disk: none is lost but by a crash, and they are carried out in their order.
type write struct {
	commit func()
	done   func()
}

// peer sends and receives, by the book. What it wants written is not at once.
type peer struct {
	rand   *rand.Rand
	limits Limits
	disk   *disk
	now    time.Time

	sender   Sender
	receiver Receiver
	sent     uint64 // the highest id that was given to the sender
	writes   []write
	batch    []wire.Ext // that came, and have not been given to the disk
	batchIDs []uint64
	batching bool // a batch is on its way: the next one waits

	out []byte // to the link; nil: there is none
	in  []byte
	up  bool
	err error // what the other did that it must not
}

// start is the beginning of a process: of the disk alone it knows anything.
func (p *peer) start() {
	*p = peer{rand: p.rand, limits: p.limits, disk: p.disk, now: p.now}
	p.sender = NewSender(p.limits, p.disk.last)
	p.receiver = NewReceiver(p.disk.received)
}

// connect is the beginning of a connection, disconnect its end.
func (p *peer) connect() {
	p.up, p.out, p.in = true, nil, nil
	p.sender.Restart(p.limits)
	if p.receiver.refused {
		p.receiver = NewReceiver(p.receiver.Last())
	}
}

func (p *peer) disconnect() { p.up, p.out, p.in = false, nil, nil }

// publish is the application's: it returns when the message is on the disk.
func (p *peer) publish(number uint64, qos uint8) {
	d := p.disk
	d.last = Next(d.last)
	d.outbox = append(d.outbox, stored{id: d.last, number: number, qos: qos})
}

// step does what is to be done.
func (p *peer) step() {
	for len(p.writes) > 0 && p.rand.IntN(3) > 0 {
		w := p.writes[0]
		p.writes = p.writes[1:]
		w.commit()
		w.done()
	}
	if !p.up {
		return
	}
	p.read()
	p.flush()
	p.sendDue()
	for i := range p.disk.outbox {
		m := &p.disk.outbox[i]
		if m.id <= p.sent || p.sender.Room() == 0 {
			continue
		}
		p.sent = m.id
		if m.received {
			p.must(p.sender.Release(m.id, p.now), "release from the store")
			p.out = wire.AppendAck(p.out, wire.CmdPubRel, uint32(m.id))
			continue
		}
		p.must(p.sender.Sent(m.id, m.qos, p.now), "send")
		p.send(m, true)
	}
}

func (p *peer) must(ok bool, what string) {
	if !ok && p.err == nil {
		p.err = fmt.Errorf("could not %s", what)
	}
}

func (p *peer) send(m *stored, dup bool) {
	e := wire.Ext{QoS: m.qos, Dup: dup, ID: uint32(m.id), CRC: m.number%2 == 0, Payload: binary.BigEndian.AppendUint64(nil, m.number)}
	p.out, _ = wire.AppendExt(p.out, wire.CmdApp, &e)
}

func (p *peer) sendDue() {
	for {
		id, a := p.sender.Due(p.now)
		i := p.disk.find(id)
		if a != Nothing && i < 0 {
			p.err = fmt.Errorf("message %d is due (%d), and not in the store", id, a)
			return
		}
		switch a {
		case Nothing:
			return
		case SendAgain:
			p.send(&p.disk.outbox[i], true)
		case ReleaseAgain:
			p.out = wire.AppendAck(p.out, wire.CmdPubRel, uint32(id))
		case GiveUp:
			p.disk.failed = append(p.disk.failed, p.disk.outbox[i].number)
			p.disk.remove(id)
		case Forget:
			p.disk.remove(id)
		}
	}
}

// read takes the whole frames of what has come.
func (p *peer) read() {
	var f wire.Frame
	for p.err == nil && p.up {
		n, err := decoder.Next(p.in, &f)
		if err != nil {
			p.err = err
		}
		if n == 0 {
			return
		}
		if f.Cmd == wire.CmdApp {
			p.take(&f)
		} else {
			p.control(&f)
		}
		p.in = p.in[n:]
	}
}

func (p *peer) take(f *wire.Frame) {
	e, err := wire.ParseExt(f)
	if err != nil {
		p.err = err
		return
	}
	switch id, v := p.receiver.Take(e.ID, e.Dup); v {
	case New:
		e.Payload = append([]byte(nil), e.Payload...)
		p.batch, p.batchIDs = append(p.batch, e), append(p.batchIDs, id)
	case Duplicate:
		p.acknowledge(e.QoS, e.ID)
	case Violation:
		p.err = fmt.Errorf("id %d with DUP %v is a violation", e.ID, e.Dup)
	}
}

func (p *peer) acknowledge(qos uint8, id uint32) {
	if !p.up {
		return
	}
	cmd := uint8(wire.CmdPubAck)
	if qos == 2 {
		cmd = wire.CmdPubRec
	}
	p.out = wire.AppendAck(p.out, cmd, id)
}

// flush gives the disk what has come. Sometimes it has no room for the rest.
func (p *peer) flush() {
	if p.batching || len(p.batch) == 0 {
		return
	}
	batch, ids := p.batch, p.batchIDs
	p.batch, p.batchIDs, p.batching = nil, nil, true
	stored := len(batch)
	if p.rand.IntN(20) == 0 {
		stored = p.rand.IntN(stored + 1)
	}
	commit := func() {
		for i, e := range batch[:stored] {
			p.disk.received = ids[i]
			p.disk.inbox = append(p.disk.inbox, binary.BigEndian.Uint64(e.Payload))
		}
	}
	done := func() {
		p.batching = false
		for i, e := range batch[:stored] {
			p.receiver.Safe(ids[i])
			p.acknowledge(e.QoS, e.ID)
		}
		if stored < len(batch) {
			p.receiver.Refuse()
			p.batch, p.batchIDs = nil, nil
			if p.disconnect(); p.receiver.Last() != p.disk.received {
				p.err = fmt.Errorf("refused after %d, the disk has %d", p.receiver.Last(), p.disk.received)
			}
			p.receiver = NewReceiver(p.receiver.Last())
		}
	}
	p.writes = append(p.writes, write{commit, done})
}

func (p *peer) control(f *wire.Frame) {
	id, _ := wire.ParseAck(f.Payload)
	if err := wire.CheckControl(f); err != nil {
		p.err = err
		return
	}
	if f.Cmd == wire.CmdPubRel {
		if !p.receiver.Release(id) {
			p.err = fmt.Errorf("PUBREL of %d is a violation", id)
			return
		}
		p.out = wire.AppendAck(p.out, wire.CmdPubComp, id)
		return
	}
	switch full, o := p.sender.Ack(uint8(f.Cmd), id); o {
	case Done:
		p.disk.remove(full)
	case Release:
		p.writes = append(p.writes, write{
			commit: func() {
				if i := p.disk.find(full); i >= 0 {
					p.disk.outbox[i].received = true
				}
			},
			done: func() {
				if p.sender.Release(full, p.now) && p.up {
					p.out = wire.AppendAck(p.out, wire.CmdPubRel, uint32(full))
				}
			},
		})
	case Forged:
		p.err = fmt.Errorf("acknowledgement %#x of %d is a violation", f.Cmd, id)
	}
}

// idle says whether nothing is left to do.
func (p *peer) idle() bool {
	return p.up && p.sender.InFlight() == 0 && len(p.disk.outbox)+len(p.writes)+len(p.batch)+len(p.in)+len(p.out) == 0
}
