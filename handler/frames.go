package handler

import (
	"sync"
	"time"

	"github.com/caddy-gopr/caddy-gopr/transport"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// piece is what is gathered while one piece of the stream is walked, to be sent with one write when it is used up; beside what goes to backends, which each hold
// gathers for itself.
type piece struct {
	b       []byte
	look    bool // the connection is to look up at the next frame boundary
	frames  int  // application frames of the piece
	pongs   int
	echoes  int
	allow   allow   // what the client's rates leave it
	taken   int     // frames of any kind, dropped ones too
	over    bool    // there is one more than they allow
	whole   bool    // at least one good frame
	dropped bool    // at least one frame was dropped, to its end
	own     *[]byte // answers of the gateway's own, borrowed; nil: none
	recent  *recent // for the flight recorder, borrowed: it would grow the stack of an idle connection's goroutine for good
}

// answers are the buffers for a piece's own answers.
var answers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// maxAnswers is the largest such buffer that is kept.
const maxAnswers = 256 << 10

// Data implements transport.Logic: it walks the piece frame by frame. Control frames are answered into one buffer, application frames pass as they are; each
// way is written once, when the piece is used up.
func (c *conn) Data(now time.Time, b []byte) (used int, next transport.Next) {
	if c.awaits() {
		e := c.ext.Load()
		asked := &e.waiting.presence
		if next := c.greet(e, now); next == transport.Pause && asked.asked.Load() {
			used, next = c.awaitPresent(asked, b)
			c.count(&piece{b: b}, used)
			return used, next
		} else if next != transport.More {
			return 0, next
		}
	}
	if c.held {
		c.resume(now)
	}
	c.ownFull.Store(false)
	if !c.half {
		if next := c.boundary(now); next != transport.More {
			return 0, next
		}
	}
	p := piece{b: b, look: c.half && c.called(), allow: c.allowance(now), recent: recents.Get().(*recent)}
	used, next = c.walk(&p, now)
	c.half = next == transport.More && (used < len(b) || c.skip > 0)
	c.note(now, &p, used < len(b) || c.skip > 0)
	c.count(&p, used)
	c.rec.in(now, p.recent)
	p.recent.giveBack()
	c.forward()
	c.answer(&p)
	if c.s.rates != nil && next == transport.More {
		next = c.charge(&p, used, now)
	}
	e := c.ext.Load()
	if e != nil && e.flush(now, p.whole) || next == transport.More && (c.ownFull.Load() || c.leases.full()) {
		next = max(next, transport.Pause)
	}
	c.held = c.held || next == transport.Pause
	return used, next
}

// forward sends what was gathered for backends.
func (c *conn) forward() {
	for _, h := range c.leases.all() {
		h.forward()
	}
}

// walk cuts the piece into frames and sorts them.
func (c *conn) walk(p *piece, now time.Time) (used int, next transport.Next) {
	var f wire.Frame
	for {
		if c.skip > 0 {
			n := min(int(c.skip), len(p.b)-used)
			c.skip -= int32(n)
			used += n
			p.dropped = p.dropped || c.skip == 0
		}
		n, err := c.s.dec.Next(p.b[used:], &f)
		if (n > 0 || err != nil) && (p.taken >= p.allow.frames || used >= p.allow.bytes) {
			p.over = true
			return used, transport.More
		}
		if err != nil {
			p.taken++
			drop, next := c.reject(p, p.b[used:], err)
			if next == transport.Close {
				return used, next
			}
			used += drop
			continue
		}
		if n == 0 {
			return used, transport.More
		}
		p.taken++
		c.searched = 0
		kind := beatIn
		next = transport.More
		if c.s.sessions != nil && !c.spoken && !p.whole && !c.plain {
			if next = c.opening(p, &f, now); next == transport.Close {
				return used, next
			}
		}
		if next == transport.More && !c.beat(p, &f, now) {
			kind = frameIn
			if err := c.take(p, used, used+n, &f, now); err != nil {
				if _, next := c.reject(p, p.b[used:], err); next == transport.Close {
					return used, next
				}
				continue
			}
		}
		p.recent.frame(kind, &f)
		p.whole = true
		used += n
		if next != transport.More {
			return used, next
		}
		if p.look { // the frame that had begun has ended
			p.look = false
			c.forward()
			if next := c.boundary(now); next != transport.More {
				return used, next
			}
		}
	}
}

// take passes an application frame on: to the backends that its command says, or back.
func (c *conn) take(p *piece, start, end int, f *wire.Frame, now time.Time) error {
	if c.s.sessions != nil {
		if e := c.ext.Load(); e != nil {
			return c.takeExtended(e, p, f, now)
		}
		if isHello(f) {
			return errLateHello
		}
	}
	if c.s.commands != nil && !c.s.commands.Contains(f.Cmd) || !c.licensed(f.Cmd) { // a heartbeat's command, and not a heartbeat; or not this client's
		return c.s.notAllowed(f)
	}
	h, err := c.holdFor(f)
	if err != nil {
		return err
	}
	if h == nil {
		if !c.s.echo { // there are routes, and none is the frame's
			return c.s.notAllowed(f)
		}
		c.echo(p, f)
		return nil
	}
	if h.to.translator == nil {
		h.pass(p.b, start, end, f)
	} else if err := h.translate(f); err != nil {
		return err
	}
	p.frames++
	return nil
}

// beat takes the frame if it is a heartbeat. The order matters to formats whose pong is the ping itself: it is the pong of who waits for it, else a ping.
func (c *conn) beat(p *piece, f *wire.Frame, now time.Time) bool {
	isPong := c.s.isPong(f)
	switch {
	case isPong && c.ponged(now, f.Payload):
	case c.s.isPing(f):
		c.pong(p, f)
	case isPong && c.ext.Load() == nil: // of no ping: it says nothing
	default:
		return false
	}
	return true
}

// pong answers a ping with its payload.
func (c *conn) pong(p *piece, f *wire.Frame) {
	p.pongs++
	own := p.answers()
	*own = c.s.appendPong(*own, f)
}

// echo answers a request with its payload; a frame that asks nothing gets no answer.
func (c *conn) echo(p *piece, f *wire.Frame) {
	p.frames++
	own := p.answers()
	b, ok := c.s.appendEcho(*own, f)
	if ok {
		*own = b
		p.echoes++
	}
}

// answers returns the buffer for the gateway's own answers.
func (p *piece) answers() *[]byte {
	if p.own == nil {
		p.own = answers.Get().(*[]byte)
	}
	return p.own
}

// answer sends the gateway's own answers.
func (c *conn) answer(p *piece) {
	if p.own == nil {
		return
	}
	if len(*p.own) == 0 {
		giveBack(p.own)
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
	giveBack(p.own)
}

func giveBack(b *[]byte) {
	if cap(*b) <= maxAnswers {
		*b = (*b)[:0]
		answers.Put(b)
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
	if b, err := c.s.appendPing(buf[:0], payload); err == nil {
		if _, err := c.t.Write(b); err == nil {
			c.out(0, len(b))
			c.rec.probe(&c.s.dialect, now, b)
		}
	}
}

// ponged notes the client's answer to the gateway's own ping, if it is that.
func (c *conn) ponged(now time.Time, payload []byte) (ok bool) {
	if !c.probes() {
		return false
	}
	var rtt time.Duration
	if !c.s.simple && !c.s.format.EchoesPing() {
		rtt, ok = c.pinger.Answered(now)
	} else if p, is := wire.ParsePing(payload); is {
		rtt, ok = c.pinger.Pong(p.Seq, p.Time, now)
	}
	if ok {
		c.live.Beats.Inc()
	}
	if rtt > 0 { // 0: not measured
		c.live.RTT.Observe(rtt.Seconds())
	}
	if ok {
		c.rtt.Store(int64(c.pinger.RTT().SRTT()))
	}
	return ok
}
