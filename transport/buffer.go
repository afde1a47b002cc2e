package transport

import "sync"

const (
	// pieceSize is what one read can bring: two of the largest GOPR frames. Only connections that have data at this moment hold a piece.
	pieceSize = 128 << 10
	// holdAbove is how much of an unfinished frame must have come before its connection may keep the borrowed piece. Below, the bytes are
	// copied out. So memory held is at most 8 times what the peer has sent, and a large frame in small segments is copied at most 8 times over.
	holdAbove = 16 << 10
	// smallBuf is what a connection that can't be asked whether it is readable keeps while it waits.
	smallBuf = 512
	// tlsRecord is the most that one read of a TLS connection brings.
	tlsRecord = 16 << 10
	// keptRest is the capacity a connection may keep for the rest of a piece while it is busy.
	keptRest = 2 << 10
	// keptOut is the largest buffer for unsent bytes that goes back to the pool.
	keptOut = 64 << 10
)

var pieces = sync.Pool{New: func() any { b := make([]byte, pieceSize); return &b }}

func borrowPiece() *[]byte   { return pieces.Get().(*[]byte) }
func returnPiece(p *[]byte) { pieces.Put(p) }

var outs = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

func borrowOut() *[]byte { return outs.Get().(*[]byte) }

func returnOut(p *[]byte) {
	if cap(*p) > keptOut {
		return
	}
	*p = (*p)[:0]
	outs.Put(p)
}
