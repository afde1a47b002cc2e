package handler

import (
	"sync"
	"time"

	"github.com/caddy-gopr/caddy-gopr/transport"
	"github.com/caddy-gopr/caddy-gopr/upstream"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// piece is what is gathered while one piece of the stream is walked, to be sent with one write each when it is used up.
type piece struct {
	b          []byte
	lease      *upstream.Lease // nil: echo
	start, end int             // neighbouring application frames, not yet sent on: b[start:end]
	asks       int             // how many of them ask for an answer
	frames     int             // application frames of the piece
	pongs      int
	echoes     int
	whole      bool    // at least one good frame
	dropped    bool    // at least one frame was dropped, to its end
	own        *[]byte // answers of the gateway's own, borrowed; nil: none
}

// answers are the buffers for a piece's own answers.
var answers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// maxAnswers is the largest such buffer that is kept.
const maxAnswers = 256 << 10

// Data implements transport.Logic: it walks the piece frame by frame. Control frames are answered into one buffer, application frames pass as they are; each
// way is written once, when the piece is used up.
func (c *conn) Data(now time.Time, b []byte) (used int, next transport.Next) {
	if c.held {
		c.resume(now)
	}
	c.upFull.Store(false)
	c.ownFull.Store(false)
	p := piece{b: b, lease: c.lease.Load()}
	used, next = c.walk(&p, now)
	c.note(now, &p, used < len(b) || c.skip > 0)
	c.count(&p, used)
	c.forward(&p)
	c.answer(&p)
	if next == transport.More && (c.upFull.Load() || c.ownFull.Load()) {
		c.held = true
		next = transport.Pause
	}
	return used, next
}

// walk cuts the piece into frames and sorts them.
func (c *conn) walk(p *piece, now time.Time) (used int, next transport.Next) {
	var f wire.Frame
	for {
		if c.skip > 0 {
			n := min(c.skip, len(p.b)-used)
			c.skip -= n
			used += n
			p.dropped = p.dropped || c.skip == 0
		}
		n, err := c.s.dec.Next(p.b[used:], &f)
		if err != nil {
			drop, next := c.reject(p.b[used:], err)
			if next == transport.Close {
				return used, next
			}
			used += drop
			continue
		}
		if n == 0 {
			return used, transport.More
		}
		c.searched = 0
		switch {
		case f.Cmd == c.s.ping.Cmd && f.Flag == c.s.ping.Flag:
			c.pong(p, &f)
		case f.Cmd == c.s.pong.Cmd && f.Flag == c.s.pong.Flag:
			c.ponged(now, f.Payload)
		case c.s.commands != nil && !c.s.commands.Contains(f.Cmd): // a heartbeat's command, and not a heartbeat
			if _, next := c.reject(p.b[used:], notAllowed(&f)); next == transport.Close {
				return used, next
			}
			continue
		case p.lease != nil:
			c.pass(p, used, used+n, &f)
		default:
			c.echo(p, &f)
		}
		p.whole = true
		used += n
	}
}

// pass adds an application frame to the run of its neighbours.
func (c *conn) pass(p *piece, start, end int, f *wire.Frame) {
	if start != p.end {
		c.forward(p)
		p.start = start
	}
	p.end = end
	p.frames++
	if f.Flag&uint32(wire.FlagReq) != 0 {
		p.asks++
	}
}

// forward sends the run to the backend.
func (c *conn) forward(p *piece) {
	if p.end > p.start {
		if p.lease.Send(p.b[p.start:p.end], p.asks) {
			c.upFull.Store(true)
		}
		p.start, p.asks = p.end, 0
	}
}

// pong answers a ping with its payload.
func (c *conn) pong(p *piece, f *wire.Frame) {
	p.pongs++
	c.own(p, f, c.s.pong.Cmd, c.s.pong.Flag)
}

// echo answers a request with its payload; a frame that asks nothing gets no answer.
func (c *conn) echo(p *piece, f *wire.Frame) {
	p.frames++
	if flag := f.Flag; flag&uint32(wire.FlagReq) != 0 {
		c.own(p, f, f.Cmd, flag&^uint32(wire.FlagReq)|uint32(wire.FlagRsp))
		p.echoes++
	}
}

// own adds an answer of the gateway's own: the payload of f under another header.
func (c *conn) own(p *piece, f *wire.Frame, cmd, flag uint32) {
	if p.own == nil {
		p.own = answers.Get().(*[]byte)
	}
	if b, err := c.s.format.Append(*p.own, f.Version, cmd, flag, f.Payload); err == nil { // it fits: cmd and flag were checked, the payload came in this format
		*p.own = b
	}
}

// answer sends the gateway's own answers.
func (c *conn) answer(p *piece) {
	if p.own == nil {
		return
	}
	c.ownFull.Store(true) // before the write: Drained may come at once
	full, err := c.t.Write(*p.own)
	if !full {
		c.ownFull.Store(false)
	}
	if err == nil {
		c.out(p.echoes, len(*p.own))
	}
	if cap(*p.own) <= maxAnswers {
		*p.own = (*p.own)[:0]
		answers.Put(p.own)
	}
}

// count adds the piece to the totals, once.
func (c *conn) count(p *piece, used int) {
	if used == 0 {
		return
	}
	c.bytesIn.Add(uint64(used))
	c.live.BytesIn.Add(float64(used))
	if p.frames > 0 {
		c.framesIn.Add(uint64(p.frames))
		c.live.FramesIn.Add(float64(p.frames))
	}
	if p.pongs > 0 {
		c.live.Pongs.Add(float64(p.pongs))
	}
}

// ping asks the client for a sign of life.
func (c *conn) ping(now time.Time) {
	seq, at := c.pinger.Ping(now)
	var body, buf [64]byte
	payload := wire.AppendPing(body[:0], wire.Ping{Seq: seq, Time: at})[wire.HeaderLen:]
	if b, err := c.s.format.Append(buf[:0], c.s.version, c.s.ping.Cmd, c.s.ping.Flag, payload); err == nil {
		if _, err := c.t.Write(b); err == nil {
			c.out(0, len(b))
		}
	}
}

// ponged notes the client's answer to the gateway's own ping.
func (c *conn) ponged(now time.Time, payload []byte) {
	if c.s.probe == nil {
		return
	}
	if p, ok := wire.ParsePing(payload); ok {
		c.pinger.Pong(p.Seq, p.Time, now)
	}
}
