package client

import (
	"context"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Message is a frame that came over a session, unasked.
type Message struct {
	Cmd     uint8
	Flag    uint8  // [wire.FlagReq]: it asks for an answer, see [Client.Answer]. Otherwise 0
	QoS     uint8  // 0, 1 or 2
	ID      uint32 // its number on the wire; 0: it has none
	Payload []byte // the receiver's own

	arrival *arrival // nil: there is nothing to acknowledge
}

// Ack acknowledges a message where [SessionOptions.ManualAck] is set: it is done, and will not come again. It may be called from any goroutine, in any order and more than
// once; the gateway is told of a message when all before it are done, too. It does not wait. Of a message of QoS 0, or of a session that is no more, it does nothing.
func (m *Message) Ack() {
	if m.arrival != nil {
		m.arrival.session.processed(m.arrival)
	}
}

// Answer answers a message that has [wire.FlagReq]. As with Send, an answer that is under way when the connection dies is lost; who asked is told so, or asks again.
func (c *Client) Answer(ctx context.Context, m Message, cmd uint8, payload []byte) error {
	l, err := c.current()
	if err != nil {
		return err
	}
	return l.putWait(ctx, cmd, wire.FlagRsp, m.ID, payload, nil)
}
