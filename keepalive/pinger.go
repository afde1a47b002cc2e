package keepalive

import "time"

// Action is what a [Pinger] wants done.
type Action uint8

// The actions.
const (
	Wait     Action = iota // nothing yet; ask again at [Pinger.Next]
	SendPing               // send a ping that carries the numbers of [Pinger.Ping]
	Dead                   // give the connection up: a ping's pong did not come in time
)

func (a Action) String() string {
	switch a {
	case Wait:
		return "wait"
	case SendPing:
		return "send ping"
	case Dead:
		return "dead"
	}
	return "unknown action"
}

// Pinger is the state of one connection under a [Heartbeat]: when a ping is
// due, which one is unanswered, and how long the answers took. At most one ping
// is outstanding. The zero value pings nobody until [Pinger.Start].
//
// The owner of the connection calls Tick when it wakes anyway, at the latest at
// Next; on [SendPing] it sends a frame with the numbers of Ping; it hands the
// numbers of each pong to Pong.
type Pinger struct {
	heartbeat *Heartbeat // nil: no pings
	due       instant    // when the next ping wants to go out
	heard     instant    // the last sign of life, where the owner notes it
	sent      instant    // when the outstanding ping went out; 0: none is
	unixNano  int64      // what the outstanding ping carries, beside seq
	seq       uint32     // of the last ping
	dead      bool       // Tick has said so
	resumed   bool       // the outstanding ping's time was not the peer's alone
	rtt       RTT
}

// Start begins, or begins anew, with the first ping due one jittered interval
// from now. What was known of the connection before is forgotten. A nil
// Heartbeat, or one without an Interval, pings never.
func (p *Pinger) Start(h *Heartbeat, now time.Time) {
	*p = Pinger{}
	p.Set(h, now)
}

// Set adopts new settings for a connection that is up. The next ping is due one
// jittered interval from now; an outstanding ping stays so, and has the new
// timeout since it was sent, unless there are to be no pings any more. Settings
// that say the same as before change nothing: reloads in a row do not put pings
// off for ever.
func (p *Pinger) Set(h *Heartbeat, now time.Time) {
	switch {
	case h == nil || h.Interval <= 0:
		p.heartbeat, p.due, p.sent = nil, 0, 0
	case p.heartbeat == nil || *p.heartbeat != *h:
		p.heartbeat, p.due = h, at(now).after(h.wait())
	default:
		p.heartbeat = h
	}
}

// Next is when Tick wants to be called: when the next ping is due, or the
// outstanding one's time is up. The zero time: never, because there are no
// pings or the peer is dead. A time in the past: at once.
//
// Next moves with Ping and Pong. With a Timeout shorter than the Interval it
// only ever moves to later, so a timer that was set to it need not be touched
// before it fires.
func (p *Pinger) Next() time.Time {
	if p.heartbeat == nil || p.dead {
		return time.Time{}
	}
	if p.sent != 0 {
		return p.sent.after(p.heartbeat.timeout()).time()
	}
	return p.due.time()
}

// Tick says what is to be done now. It may be called at any time, and as often
// as one likes: [SendPing] is repeated until Ping is called, and [Dead] for ever.
func (p *Pinger) Tick(now time.Time) Action {
	switch t := at(now); {
	case p.dead:
		return Dead
	case p.heartbeat == nil:
		return Wait
	case p.sent != 0:
		if t < p.sent.after(p.heartbeat.timeout()) {
			return Wait
		}
		p.dead = true
		return Dead
	case t < p.due:
		return Wait
	default:
		if p.heard != 0 { // put off once per wait, not once per frame
			p.due = p.heard.after(p.heartbeat.wait())
			p.heard = 0
			if t < p.due {
				return Wait
			}
		}
		return SendPing
	}
}

// Ping returns the numbers for the payload of the ping that goes out now, and
// marks it as outstanding: a sequence number that grows by one from 1, and the
// wall clock. It is called after Tick said [SendPing]; called at another
// time, it puts this ping in the place of the outstanding one, whose pong is
// then ignored.
func (p *Pinger) Ping(now time.Time) (seq uint32, unixNano int64) {
	p.seq++
	p.sent, p.unixNano, p.resumed = at(now), now.UnixNano(), false
	if p.heartbeat != nil {
		p.due = p.sent.after(p.heartbeat.wait())
	}
	return p.seq, p.unixNano
}

// Pong takes the numbers that a pong echoed. If they are the outstanding
// ping's own, that ping is answered, its round trip is returned and added to
// the estimate. Any other pong (late, doubled, forged) changes nothing: ok is
// false.
//
// A pong counts until Tick has said [Dead], even after its time: where this
// side was stopped for a while, and not the peer, the pong is waiting to be
// read. So read before you Tick.
//
// The round trip is measured on the monotonic clock of the times passed to Ping
// and Pong; the echoed wall clock only identifies the ping. It is 0, and not
// added, for a ping that was outstanding at a Resume.
func (p *Pinger) Pong(seq uint32, unixNano int64, now time.Time) (rtt time.Duration, ok bool) {
	if p.sent == 0 || p.dead || seq != p.seq || unixNano != p.unixNano {
		return 0, false
	}
	rtt = time.Duration(max(0, at(now)-p.sent))
	p.sent = 0
	if p.resumed {
		return 0, true
	}
	p.rtt.Sample(rtt)
	return rtt, true
}

// Outstanding says whether a ping waits for its pong.
func (p *Pinger) Outstanding() bool { return p.sent != 0 && !p.dead }

// Answered takes a pong that echoes nothing, of a protocol whose pongs say no more than that the peer lives: it answers the outstanding ping, if there is one.
func (p *Pinger) Answered(now time.Time) (rtt time.Duration, ok bool) {
	return p.Pong(p.seq, p.unixNano, now)
}

// Resume says that this side reads again after it did not for a while, because
// it had nowhere to put what it would read. What it did not hear is not the
// peer's fault: an outstanding ping has its whole timeout again, and is not
// measured. The estimate stays.
func (p *Pinger) Resume(now time.Time) {
	if p.sent != 0 {
		p.sent, p.resumed = at(now), true
	}
}

// Heard notes a sign of life other than a pong, for an owner that wants only
// quiet peers pinged: a ping is put off until the peer was quiet for a jittered
// interval. It stores a time and no more, so it may be called for every frame.
// It does not stand in for the pong of an outstanding ping: a program may be
// stuck while what it sent before still arrives.
func (p *Pinger) Heard(now time.Time) { p.heard = at(now) }

// RTT is the estimate that the pongs feed. It belongs to the Pinger's owner.
func (p *Pinger) RTT() *RTT { return &p.rtt }
