package handler

import (
	"errors"
	"math"
	"time"

	"github.com/caddy-gopr/caddy-gopr/transport"
)

// What a client that exceeds its rates is closed for.
var (
	errFrameRate  = errors.New("more frames than limits frames allows")
	errByteRate   = errors.New("more bytes than limits bytes allows")
	errFirstFrame = errors.New("no complete first frame within limits first_frame")
)

// flow holds a client to the rates of the settings, frame by frame: a frame passes while there is something in both buckets. The connection's goroutine owns it.
type flow struct {
	frames, bytes bucket
	until         time.Time // reading rests until then; zero: it does not for this
}

// rests returns until when reading rests; zero: it does not. f may be nil.
func (f *flow) rests() (until time.Time) {
	if f != nil {
		until = f.until
	}
	return until
}

// allow is what a piece may take from the buckets: it ends with the frame that is over it.
type allow struct{ frames, bytes int }

// allowance returns what the client's buckets hold.
func (c *conn) allowance(now time.Time) allow {
	if c.s.rates == nil {
		return allow{math.MaxInt, math.MaxInt}
	}
	if c.flow == nil {
		c.flow = new(flow)
	}
	return c.flow.allow(c.s.rates, now.Sub(c.since))
}

// allow returns what the buckets hold.
func (f *flow) allow(r *rates, at time.Duration) allow {
	a := allow{math.MaxInt, math.MaxInt}
	if r.frames != nil {
		a.frames = int(min(f.frames.level(r.frames, at), math.MaxInt32))
	}
	if r.bytes != nil {
		a.bytes = int(min(math.Ceil(f.bytes.level(r.bytes, at)), math.MaxInt32)) // the last frame may take more than is left: it is owed
	}
	return a
}

// take notes what was sent.
func (f *flow) take(r *rates, frames, bytes int) {
	if r.frames != nil {
		f.frames.spent += float64(frames)
	}
	if r.bytes != nil {
		f.bytes.spent += float64(bytes)
	}
}

// wait returns how long until a delayed client is to be read again.
func (f *flow) wait(r *rates, at time.Duration) (wait time.Duration) {
	if r == nil {
		return 0
	}
	if r.frames != nil {
		wait = f.frames.wait(r.frames, at)
	}
	if r.bytes != nil {
		wait = max(wait, f.bytes.wait(r.bytes, at))
	}
	return wait
}

// charge takes from the buckets what a piece brought. Where it holds a frame more than they allow, the client is delayed, or closed.
func (c *conn) charge(p *piece, used int, now time.Time) transport.Next {
	r, at := c.s.rates, now.Sub(c.since)
	c.flow.take(r, p.taken, used)
	switch {
	case !p.over:
		return transport.More
	case !r.close:
	case p.taken >= p.allow.frames:
		return c.fail(errFrameRate)
	default:
		return c.fail(errByteRate)
	}
	// A wait of none is one that rounding has eaten; the pause must have an end that comes.
	c.flow.until = now.Add(max(c.flow.wait(r, at), time.Millisecond))
	c.held = true
	c.live.Delays.Inc()
	return transport.Pause
}

// relent reads on when a delay is over, or the settings that asked for it are. Where something else holds the reading, that ends it: a client whose backend is full is not to be read.
func (c *conn) relent(now time.Time) {
	switch {
	case c.flow.rests().IsZero():
		return
	case c.flow.wait(c.s.rates, now.Sub(c.since)) > 0 && now.Before(c.flow.until):
		return
	}
	c.flow.until = time.Time{}
	if !c.full() && !c.ownFull.Load() {
		c.t.Resume()
	}
}

// tooSlow is what a client ends for whose first frame has not come in time.
func (s *settings) tooSlow() error {
	if s.sessions != nil && s.sessions.require {
		return errNoHello
	}
	return errFirstFrame
}

// tooSlow says whether the time for the first frame is over, and it has not come.
func (c *conn) tooSlow(now time.Time) bool {
	return !c.spoken && c.s.first > 0 && now.Sub(c.since) >= c.s.first
}
