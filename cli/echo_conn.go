package cli

import (
	"errors"
	"net"
	"sync"

	"github.com/caddy-gopr/caddy-gopr/client"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// echoConn is the receiver of one connection of echo. Pings are answered by client.Conn; here they are only
// counted.
type echoConn struct {
	server *echoServer
	remote net.Addr
	conn   interface {
		Write(frames []byte) (full bool, err error)
		Resume()
	}

	// The connection's goroutine owns these. They hold one piece.
	out      *[]byte // answers; nil: none
	requests int
	oneWay   int
	others   int // bytes of frames that were passed to Frame
}

var _ client.Receiver = (*echoConn)(nil)

// Frame answers a request with its payload, as `respond echo` of the gateway does.
func (s *echoConn) Frame(_ []byte, start, end int, f *wire.Frame) {
	s.others += end - start
	if f.Flag&wire.FlagReq == 0 {
		s.oneWay++
		return
	}
	s.requests++
	if s.out == nil {
		s.out = batches.Get().(*[]byte)
	}
	*s.out = wire.AppendFrame(*s.out, uint8(f.Cmd), uint8(f.Flag)&^wire.FlagReq|wire.FlagRsp, f.Payload)
}

// Flush writes the answers to a piece in one write, and stops reading where the peer does.
func (s *echoConn) Flush(piece []byte) (more bool) {
	e := s.server
	sent := 0
	if e.out != nil || s.others < len(piece) {
		sent = s.walk(piece) // pongs are as long as their pings
	}
	full := false
	if s.out != nil {
		sent += len(*s.out)
		full, _ = s.conn.Write(*s.out) // a failed write ends the connection by itself
		giveBack(s.out)
	}
	e.bytesIn.Add(int64(len(piece)))
	e.bytesOut.Add(int64(sent))
	e.requests.Add(int64(s.requests))
	e.oneWay.Add(int64(s.oneWay))
	s.out, s.requests, s.oneWay, s.others = nil, 0, 0, 0
	return !full
}

// Drained reads on.
func (s *echoConn) Drained() { s.conn.Resume() }

// walk looks at each frame of a piece again, to print it, and to count those that Frame does not see. It
// returns how long the pings were, in bytes.
func (s *echoConn) walk(piece []byte) (pings int) {
	e := s.server
	var (
		f     wire.Frame
		lines []byte
	)
	for len(piece) > 0 {
		n, err := plain().Next(piece, &f)
		if err != nil || n == 0 {
			break
		}
		piece = piece[n:]
		if heartbeatName(&f) == "PING" {
			e.pings.Add(1)
			pings += n
		}
		if e.out != nil {
			lines = append(lines, s.remote.String()...)
			lines = append(lines, "  "...)
			lines = append(appendFrame(lines, &f), '\n')
		}
	}
	if len(lines) > 0 {
		e.print(lines)
	}
	return pings
}

// plain is the decoder that accepts all of GOPR.
var plain = sync.OnceValue(func() *wire.Decoder {
	d, err := wire.GOPR.NewDecoder(wire.Rules{})
	if err != nil {
		panic(err) // the zero rules are GOPR's own
	}
	return d
})

func isReject(err error) bool {
	var reject *wire.RejectError
	return errors.As(err, &reject)
}

// batches are the buffers in which frames are gathered for one write.
var batches = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// giveBack keeps a buffer for others, unless it has grown beyond what one piece and a frame may need.
func giveBack(b *[]byte) {
	if cap(*b) > 4*wire.MaxPayload {
		return
	}
	*b = (*b)[:0]
	batches.Put(b)
}
