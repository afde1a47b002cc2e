package cli

import (
	"bytes"
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// stream is the receiver of one connection of bench. It works in the connection's goroutine: a piece that brings
// answers is recorded under one lock, and replaced by as many requests in one write.
type stream struct {
	load  *load
	shard *shard
	id    uint32 // in each payload, so that an answer to another connection's request is noticed
	conn  interface {
		Write(frames []byte) (full bool, err error)
		Close(cause error)
	}

	// The connection's goroutine owns these; send is also called before it starts.
	sent, answered uint64          // requests
	sentAt         []time.Duration // when request n was sent, in sentAt[n%len]; -1: its answer was wrong
	came           int             // answers in this piece

	oldest atomic.Int64 // when the oldest unanswered request was sent, a time.Duration since the load began
}

var (
	_ client.Receiver     = (*stream)(nil)
	_ client.PongReceiver = (*stream)(nil)
)

// Frame takes answers. What else the peer sends is of no interest.
func (s *stream) Frame(_ []byte, _, _ int, f *wire.Frame) {
	if f.Flag&wire.FlagRsp != 0 {
		s.answer(f.Payload)
	}
}

// Pong takes the answers to requests that are PINGs.
func (s *stream) Pong(_ time.Time, payload []byte) {
	if s.load.args.cmd == wire.CmdPing {
		s.answer(payload)
	}
}

func (s *stream) answer(payload []byte) {
	n := s.answered + uint64(s.came)
	if n == s.sent {
		s.conn.Close(errUnasked)
		return
	}
	if !s.load.isPayload(payload, s.id, n) {
		s.sentAt[n%uint64(len(s.sentAt))] = -1
	}
	s.came++
}

// Flush records the answers of a piece, and sends as many requests again.
func (s *stream) Flush([]byte) (more bool) {
	if s.came == 0 {
		return true
	}
	now, came := s.load.now(), s.came
	s.record(now)
	switch {
	case !s.load.stopping.Load():
		s.send(came, now)
	case s.answered == s.sent:
		s.conn.Close(errDone)
	default:
		s.note()
	}
	return true
}

// Drained has nothing to do: there are never more bytes unsent than the requests on their way have.
func (s *stream) Drained() {}

// record takes the times of the answers of a piece.
func (s *stream) record(now time.Duration) {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	for range s.came {
		if at := s.sentAt[s.answered%uint64(len(s.sentAt))]; at < 0 {
			s.shard.wrong++
		} else {
			s.shard.times.record(now - at)
		}
		s.answered++
	}
	s.came = 0
}

// note notes when the oldest unanswered request was sent.
func (s *stream) note() { s.oldest.Store(int64(s.sentAt[s.answered%uint64(len(s.sentAt))])) }

// fullBatch is how many bytes of requests one write has at most, give or take a frame.
const fullBatch = 64 << 10

// send sends n requests. There is room for them in sentAt.
func (s *stream) send(n int, now time.Duration) {
	b := batches.Get().(*[]byte)
	for range n {
		s.sentAt[s.sent%uint64(len(s.sentAt))] = now
		*b = s.load.appendRequest(*b, s.id, s.sent)
		s.sent++
		if len(*b) >= fullBatch {
			_, _ = s.conn.Write(*b) // a failed write ends the connection by itself
			*b = (*b)[:0]
		}
	}
	s.note()
	if len(*b) > 0 {
		_, _ = s.conn.Write(*b)
	}
	giveBack(b)
}

// appendRequest appends the n-th request of a connection. Its payload begins with the ids of both, as far as
// there is room, and so is different from all others on their way.
func (l *load) appendRequest(dst []byte, id uint32, n uint64) []byte {
	dst = wire.AppendHeader(dst, l.args.cmd, wire.FlagReq, l.args.payload)
	ids := requestID(id, n)
	k := min(len(ids), l.args.payload)
	dst = append(dst, ids[len(ids)-k:]...)
	return append(dst, l.pattern[k:]...)
}

// isPayload says whether it is the payload of that request.
func (l *load) isPayload(payload []byte, id uint32, n uint64) bool {
	ids := requestID(id, n)
	k := min(len(ids), l.args.payload)
	return len(payload) == l.args.payload &&
		bytes.Equal(payload[:k], ids[len(ids)-k:]) &&
		bytes.Equal(payload[k:], l.pattern[k:])
}

// requestID is the connection's id, then the number of the request, which wraps around.
func requestID(id uint32, n uint64) (b [8]byte) {
	binary.BigEndian.PutUint32(b[:], id)
	binary.BigEndian.PutUint32(b[4:], uint32(n))
	return b
}
