package handler

import (
	"math"
	"sync"
	"time"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// flight is the flight recorder of a connection: the headers of its last frames, for an operator who asks what it was doing.
//
// What it costs: a connection that never had a frame has none; heartbeats of the same kind in a row are one entry, counted, so a connection that does nothing but live
// needs no memory for it beyond the connection's own; one that works has maxRecorded of 24 bytes. Frames are noted without the lock while a piece is walked, and entered under one lock for
// each piece. What the gateway answers of itself, pongs and echoes, is not recorded: it follows from what it answers.
type flight struct {
	mu    sync.Mutex             // guards all below
	first recorded               // the only one, as long as there is no ring: enough for a connection that does nothing but live
	ring  *[maxRecorded]recorded // nil: there was no second one
	n     uint8                  // how many there are, in the ring or not
	next  uint8                  // where the next one goes, once the ring is full
	heard int64                  // the last frame from the client, of any kind; in nanoseconds since 1970, as all times here; 0: none
	app   int64                  // the last application frame, either way
}

// maxRecorded is how many headers are kept.
const maxRecorded = 32

type recorded struct {
	at     int64
	cmd    uint32
	flag   uint32
	bytes  uint32
	again  uint16 // heartbeats: so often more in a row, at most 65535
	kind   kind
	reason wire.Reason // of a reject
}

type kind uint8

const (
	frameIn kind = iota
	frameOut
	beatIn
	beatOut
	rejectIn
)

// recent is what the recorder is to take of a piece: its last headers, without their time.
type recent struct {
	frames [maxRecorded]recorded
	n      uint // of all; the last is at (n-1) % maxRecorded
}

var recents = sync.Pool{New: func() any { return new(recent) }}

func (r *recent) giveBack() {
	r.n = 0
	recents.Put(r)
}

func (r *recent) frame(k kind, f *wire.Frame) {
	r.frames[r.n%maxRecorded] = recorded{kind: k, cmd: f.Cmd, flag: f.Flag, bytes: uint32(len(f.Raw))}
	r.n++
}

func (r *recent) reject(reason wire.Reason, bytes int) {
	r.frames[r.n%maxRecorded] = recorded{kind: rejectIn, reason: reason, bytes: uint32(max(0, bytes))}
	r.n++
}

// in takes a piece from the client.
func (r *flight) in(now time.Time, p *recent) {
	if p.n == 0 {
		return
	}
	at := now.UnixNano()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := p.n - min(p.n, maxRecorded); i < p.n; i++ {
		e := &p.frames[i%maxRecorded]
		e.at = at
		r.add(e)
	}
}

// out takes a run of n frames to the client.
func (r *flight) out(d *dialect, run []byte, n int) {
	for ; n > maxRecorded; n-- {
		size, _, _ := d.peek(run)
		if size == 0 || size > len(run) {
			return
		}
		run = run[size:]
	}
	e := recorded{at: time.Now().UnixNano(), kind: frameOut}
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(run) > 0 {
		size := 0
		size, e.cmd, e.flag = d.peek(run)
		if size == 0 || size > len(run) {
			return
		}
		e.bytes = uint32(size)
		r.add(&e)
		run = run[size:]
	}
}

// probe takes the gateway's own ping.
func (r *flight) probe(d *dialect, now time.Time, ping []byte) {
	e := recorded{at: now.UnixNano(), kind: beatOut, bytes: uint32(len(ping))}
	_, e.cmd, e.flag = d.peek(ping)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(&e)
}

// add enters a header. r.mu is held.
func (r *flight) add(e *recorded) {
	switch e.kind {
	case frameIn:
		r.heard, r.app = e.at, e.at
	case frameOut:
		r.app = e.at
	case beatIn:
		r.heard = e.at
	}
	if e.kind == beatIn || e.kind == beatOut {
		if last := r.last(); last != nil && last.kind == e.kind && last.cmd == e.cmd && last.flag == e.flag && last.bytes == e.bytes {
			last.at = e.at
			if last.again < math.MaxUint16 {
				last.again++
			}
			return
		}
	}
	switch {
	case r.n == 0:
		r.first = *e
	case r.ring == nil:
		r.ring = new([maxRecorded]recorded)
		r.ring[0], r.ring[1] = r.first, *e
	case r.n < maxRecorded:
		r.ring[r.n] = *e
	default:
		r.ring[r.next] = *e
		r.next = (r.next + 1) % maxRecorded
		return
	}
	r.n++
}

// at returns the i-th entry, from the oldest. r.mu is held.
func (r *flight) at(i uint8) *recorded {
	if r.ring == nil {
		return &r.first
	}
	return &r.ring[(r.next+i)%maxRecorded]
}

// last returns the newest entry; nil: there is none. r.mu is held.
func (r *flight) last() *recorded {
	if r.n == 0 {
		return nil
	}
	return r.at(r.n - 1)
}

// times returns when the client was last heard, and when the last application frame came or went.
func (r *flight) times() (heard, app time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return moment(r.heard), moment(r.app)
}

func moment(unixNano int64) (t time.Time) {
	if unixNano != 0 {
		t = time.Unix(0, unixNano)
	}
	return t
}

// Recent implements gateway.Conn.
func (c *conn) Recent() []gateway.Frame {
	r := &c.rec
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]gateway.Frame, 0, r.n)
	for i := range r.n {
		e := r.at(i)
		f := gateway.Frame{
			At: moment(e.at), Out: e.kind == frameOut || e.kind == beatOut, Heartbeat: e.kind == beatIn || e.kind == beatOut,
			Cmd: e.cmd, Flag: e.flag, Bytes: int(e.bytes), Times: 1 + int(e.again),
		}
		if e.kind == rejectIn {
			f.Rejected = e.reason.String()
		}
		all = append(all, f)
	}
	return all
}
