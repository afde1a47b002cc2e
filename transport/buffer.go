package transport

import "sync"

const (
	// pieceSize is what one read can bring: two of the largest GOPR frames. Only connections that have data at this moment hold a piece.
	pieceSize = 128 << 10
	// holdAbove is how much of an unfinished frame must have come before its connection may keep the borrowed piece. Below, the bytes are
	// copied out. So memory held is at most 8 times what the peer has sent, and a read never costs more than a copy of holdAbove bytes in and
	// out: above, the bytes stay where they are.
	holdAbove = 16 << 10
	// smallBuf is what a connection that can't be asked whether it is readable keeps while it waits.
	smallBuf = 512
	// tlsRecord is the most that one read of a TLS connection brings.
	tlsRecord = 16 << 10
	// keptRest is the capacity a connection may keep for the rest of a piece while it is busy.
	keptRest = 2 << 10
	// keptOut is the largest buffer for unsent bytes that goes back to the pool.
	keptOut = 256 << 10
)

var pieces = sync.Pool{New: func() any { b := make([]byte, pieceSize); return &b }}

func borrowPiece() *[]byte {
	held.Add(pieceSize)
	return pieces.Get().(*[]byte)
}

// returnPiece ends the use of p. A piece that was made larger for a large frame is left to the garbage collector.
func returnPiece(p *[]byte) {
	held.Add(int64(-len(*p)))
	if len(*p) == pieceSize {
		pieces.Put(p)
	}
}

// unread is what a connection has read, and its logic has not used yet.
type unread struct {
	rest  []byte  // the bytes; in piece, or a small copy
	piece *[]byte // borrowed; kept only while a large frame is unfinished
	lent  *[]byte // what take returned, until it is kept
	holds weight
}

// weigh counts what holds the bytes.
func (u *unread) weigh() {
	if u.piece != nil {
		u.holds.set(0, len(*u.piece))
	} else {
		u.holds.set(cap(u.rest), 0)
	}
}

// clear forgets the small copy that is empty.
func (u *unread) clear() {
	u.rest = nil
	u.weigh()
}

// take returns a piece that begins with the n bytes not yet used, and has room behind them.
func (u *unread) take() (p *[]byte, n int) {
	p, u.piece = u.piece, nil
	if p != nil {
		n = toFront(p, u.rest)
		u.rest = nil
	} else {
		p = borrowPiece()
		if len(u.rest) > len(*p) {
			p = larger(p, len(u.rest))
		}
		n = copy(*p, u.rest)
		u.rest = u.rest[:0]
	}
	if n == len(*p) {
		p = larger(p, n)
	}
	u.lent = p
	return p, n
}

// keep stores what is left of a piece, and gives the piece back unless what is left is large. u.rest is not in p.
func (u *unread) keep(p *[]byte, rest []byte) {
	u.lent = nil
	if len(rest) > holdAbove {
		n := toFront(p, rest)
		u.piece, u.rest = p, (*p)[:n]
		u.weigh()
		return
	}
	if cap(u.rest) > keptRest && len(rest) <= keptRest {
		u.rest = nil // grown for a large frame; while one is coming in, its buffer grows by doubling
	}
	u.rest = append(u.rest[:0], rest...)
	returnPiece(p)
	u.weigh()
}

// toFront moves b, which lies in p, to the front of p. Where it is there already, nothing is copied: so a frame that comes in drop by drop is
// not copied with every drop.
func toFront(p *[]byte, b []byte) int {
	if len(b) > 0 && &b[0] == &(*p)[0] {
		return len(b)
	}
	return copy(*p, b)
}

// larger moves the n bytes of a frame that fills its piece into one of twice their size.
func larger(p *[]byte, n int) *[]byte {
	b := make([]byte, 2*n)
	held.Add(int64(len(b)))
	copy(b, *p)
	returnPiece(p)
	return &b
}

// used takes n bytes off the front, and gives the piece back when little is left.
func (u *unread) used(n int) {
	u.rest = u.rest[n:]
	if p := u.piece; p != nil && len(u.rest) <= holdAbove {
		rest := u.rest
		u.piece, u.rest = nil, nil
		u.keep(p, rest)
	}
}

// release gives up the bytes, and what holds them.
func (u *unread) release() {
	if u.piece != nil {
		returnPiece(u.piece)
	}
	if u.lent != nil { // the logic has panicked with it
		returnPiece(u.lent)
	}
	u.piece, u.lent, u.rest = nil, nil, nil
	u.weigh()
}

var outs = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

func borrowOut() *[]byte {
	p := outs.Get().(*[]byte)
	held.Add(int64(cap(*p)))
	return p
}

// growOut appends to a borrowed buffer.
func growOut(p *[]byte, b []byte) {
	before := cap(*p)
	*p = append(*p, b...)
	if grown := cap(*p) - before; grown > 0 {
		held.Add(int64(grown))
	}
}

func returnOut(p *[]byte) {
	held.Add(int64(-cap(*p)))
	if cap(*p) > keptOut {
		return
	}
	*p = (*p)[:0]
	outs.Put(p)
}
