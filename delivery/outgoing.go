package delivery

import (
	"sync"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// outgoing is frames that leave together. It is borrowed for as long as there are some.
type outgoing struct {
	b    []byte
	n    int // frames
	asks int // requests and pings among them
}

var outgoings = sync.Pool{New: func() any { return &outgoing{b: make([]byte, 0, 4<<10)} }}

// maxKeptBytes is the largest buffer that is used again.
const maxKeptBytes = 256 << 10

// out returns the frames at o, which it makes where there are none.
func out(o **outgoing) *outgoing {
	if *o == nil {
		*o = outgoings.Get().(*outgoing)
	}
	return *o
}

// giveBack ends the frames at o.
func giveBack(o **outgoing) {
	if *o != nil && cap((*o).b) <= maxKeptBytes {
		(*o).b, (*o).n, (*o).asks = (*o).b[:0], 0, 0
		outgoings.Put(*o)
	}
	*o = nil
}

func (o *outgoing) ack(cmd uint8, id uint32) {
	o.b = wire.AppendAck(o.b, cmd, id)
	o.n++
}

func (o *outgoing) fault(e wire.ErrorFrame) {
	o.b = wire.AppendError(o.b, e)
	o.n++
}

// message adds a stored message for who speaks the extended protocol.
func (o *outgoing) message(m *queue.Message, dup, crc bool) {
	o.ext(m.Cmd, &wire.Ext{QoS: m.QoS, Flag: m.Flag & (wire.FlagReq | wire.FlagRsp), Dup: dup, CRC: crc, ID: uint32(m.ID), Payload: m.Payload})
}

// ext adds an extended frame. One that has no room for its checksum goes without; one that does not fit all the same is not added.
func (o *outgoing) ext(cmd uint8, e *wire.Ext) bool {
	b, err := wire.AppendExt(o.b, cmd, e)
	if err != nil && e.CRC {
		e.CRC = false
		b, err = wire.AppendExt(o.b, cmd, e)
	}
	if err != nil {
		return false
	}
	o.b = b
	o.n++
	return true
}

// plain adds a frame as a backend without the extension knows it.
func (o *outgoing) plain(cmd, flag uint8, payload []byte) {
	flag &= wire.FlagReq | wire.FlagRsp
	o.b = wire.AppendFrame(o.b, cmd, flag, payload)
	o.n++
	if flag == wire.FlagReq {
		o.asks++
	}
}
