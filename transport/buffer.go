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

func borrowPiece() *[]byte { return pieces.Get().(*[]byte) }

// returnPiece ends the use of p. A piece that was made larger for a large frame is left to the garbage collector.
func returnPiece(p *[]byte) {
	if len(*p) == pieceSize {
		pieces.Put(p)
	}
}

// take returns a piece that begins with the n bytes not yet used, and has room behind them.
func (c *Conn) take() (p *[]byte, n int) {
	p, c.piece = c.piece, nil
	if p != nil {
		n = toFront(p, c.rest)
		c.rest = nil
	} else {
		p = borrowPiece()
		if len(c.rest) > len(*p) {
			p = larger(p, len(c.rest))
		}
		n = copy(*p, c.rest)
		c.rest = c.rest[:0]
	}
	if n == len(*p) {
		p = larger(p, n)
	}
	return p, n
}

// keep stores what is left of a piece, and gives the piece back unless what is left is large. c.rest is not in p.
func (c *Conn) keep(p *[]byte, rest []byte) {
	if len(rest) > holdAbove {
		n := toFront(p, rest)
		c.piece, c.rest = p, (*p)[:n]
		return
	}
	if cap(c.rest) > keptRest && len(rest) <= keptRest {
		c.rest = nil // grown for a large frame; while one is coming in, its buffer grows by doubling
	}
	c.rest = append(c.rest[:0], rest...)
	returnPiece(p)
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
	copy(b, *p)
	returnPiece(p)
	return &b
}

// release gives up all read buffers, and the bytes in them.
func (c *Conn) release() {
	if c.piece != nil {
		returnPiece(c.piece)
	}
	c.piece, c.rest, c.own = nil, nil, nil
}

var outs = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

func borrowOut() *[]byte { return outs.Get().(*[]byte) }

func returnOut(p *[]byte) {
	if cap(*p) > keptOut {
		return
	}
	*p = (*p)[:0]
	outs.Put(p)
}
