package keepalive

import (
	"errors"
	"fmt"
	"time"
)

// What [Watch.Check] finds.
var (
	// ErrIdle: no complete frame came within [Limits.Idle].
	ErrIdle = errors.New("keepalive: no complete frame within the idle timeout")
	// ErrFrameTimeout: a frame that was begun was not complete within [Limits.Frame].
	ErrFrameTimeout = errors.New("keepalive: frame not complete within the frame timeout")
)

// Limits is how long a peer may take. One value is shared by all connections it
// holds for and must not change under them.
type Limits struct {
	// Idle is the longest time between complete frames. A gateway's is 45 s,
	// one and a half of a client's heartbeat. 0: no limit.
	Idle time.Duration
	// Frame is the longest time from a frame's first byte to its last, so that
	// a peer that drips bytes cannot hold a connection. A gateway's is 10 s.
	// 0: no limit but Idle.
	Frame time.Duration
}

// Validate says what is wrong with the limits, and what would be right.
func (l Limits) Validate() error {
	switch {
	case l.Idle < 0:
		return fmt.Errorf("idle timeout %v is negative: give a time such as 45s, or 0 for none", l.Idle)
	case l.Frame < 0:
		return fmt.Errorf("frame timeout %v is negative: give a time such as 10s, or 0 for none", l.Frame)
	}
	return nil
}

// Watch decides when a silent or dripping peer is given up. The zero value
// gives up nobody until [Watch.Start].
//
// Deadlines move lazily: a frame stores a time, and no timer is touched. The
// owner has one timer, and sets it to Deadline after Start, after Set, after a
// Note that returned true, and after a Check that returned nil; never
// otherwise. When it fires, the owner asks Check. However fast frames come,
// the timer is set about once per timeout. An owner that compares Deadline with
// its timer after each piece anyway, and sets it only if it is late, may ignore
// what Note returns.
type Watch struct {
	limits *Limits // nil: none
	heard  instant // when the last complete frame came, or the watch began
	began  instant // when the open frame's first byte came; 0: none is open
	armed  instant // what the owner's timer is set to at the latest; 0: it is not
}

// Start begins, or begins anew, as if a complete frame had come now. A nil
// Limits gives up nobody.
func (w *Watch) Start(l *Limits, now time.Time) {
	*w = Watch{limits: l, heard: at(now)}
	w.armed = w.deadline()
}

// Set adopts new limits for a connection that is up. A limit that differs from
// the one before counts from now, so a reload never closes a connection for
// what was allowed until then; a limit that is the same goes on counting.
func (w *Watch) Set(l *Limits, now time.Time) {
	oldIdle, oldFrame := w.timeouts()
	w.limits = l
	idle, frame := w.timeouts()
	if idle != oldIdle {
		w.heard = at(now)
	}
	if frame != oldFrame && w.began != 0 {
		w.began = at(now)
	}
	w.armed = w.deadline()
}

// Note takes notice of a piece of bytes that was read: whole says that at least
// one complete frame ended in it, partial that it ended inside a frame. A
// frame's time runs from the piece in which its first byte came.
//
// Note reports whether the deadline is now before the one the timer is set to.
// That is so at most once per timeout: when a frame is left open while the
// timer still waits for the far end of the idle time.
func (w *Watch) Note(now time.Time, whole, partial bool) (sooner bool) {
	t := at(now)
	if whole {
		w.heard = t
	}
	switch {
	case !partial:
		w.began = 0
		return false // deadlines only ever moved to later
	case whole || w.began == 0:
		w.began = t
	}
	d := w.deadline()
	if d == 0 || w.armed != 0 && w.armed <= d {
		return false
	}
	w.armed = d
	return true
}

// Deadline is the earliest moment at which Check could have something to say,
// unless a Note returns true before. The zero time: never.
func (w *Watch) Deadline() time.Time { return w.deadline().time() }

// Check returns [ErrIdle] or [ErrFrameTimeout], whichever came about first, or
// nil if the peer is within its limits.
func (w *Watch) Check(now time.Time) error {
	t := at(now)
	idle, frame := w.ends()
	switch first := earliest(idle, frame); {
	case first == 0 || t < first:
		w.armed = first
		return nil
	case first == frame:
		return ErrFrameTimeout
	}
	return ErrIdle
}

func (w *Watch) deadline() instant { return earliest(w.ends()) }

// ends returns when the idle time and the open frame's time are up; 0: never.
func (w *Watch) ends() (idle, frame instant) {
	idleLimit, frameLimit := w.timeouts()
	if idleLimit > 0 {
		idle = w.heard.after(idleLimit)
	}
	if frameLimit > 0 && w.began != 0 {
		frame = w.began.after(frameLimit)
	}
	return idle, frame
}

func (w *Watch) timeouts() (idle, frame time.Duration) {
	if w.limits == nil {
		return 0, 0
	}
	return w.limits.Idle, w.limits.Frame
}
