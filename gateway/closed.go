package gateway

import (
	"net"
	"strings"
	"sync"
	"time"
)

// history is what is kept of connections that have ended: the last 10,000 that were taken in, of all handlers. Connections that were refused are counted, not kept: a
// flood of them must not wash away what an operator looks for.
var history = past{max: 10_000}

// past is a ring that grows with what there is.
type past struct {
	mu    sync.Mutex
	max   int
	ended []ended
	last  uint64 // the number of the last, which is at (last-1) % max
}

// ended is a connection that has.
type ended struct {
	n       uint64 // how many had ended with it; from 1
	handler string
	at      time.Time
	reason  string
	err     string
	info    Info
}

// maxError bounds the text kept of an error, in bytes.
const maxError = 200

func (p *past) add(e ended) {
	if len(e.err) > maxError {
		e.err = strings.ToValidUTF8(e.err[:maxError], "") + "…"
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	e.n = p.last
	if len(p.ended) < p.max {
		p.ended = append(p.ended, e)
		return
	}
	p.ended[(e.n-1)%uint64(p.max)] = e
}

// before returns those that ended before number n, the newest first, as many as are copied in a moment; n 0: from the newest on.
func (p *past) before(n uint64, to []ended) []ended {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n == 0 || n > p.last {
		n = p.last + 1
	}
	for n--; n > 0 && p.last-n < uint64(len(p.ended)) && len(to) < cap(to); n-- {
		to = append(to, p.ended[(n-1)%uint64(p.max)])
	}
	return to
}

// Ended keeps what is known of a connection that has ended, for GET /gopr/closed. err may be nil. remote is who it was where the Info does not say.
func (l *Live) Ended(i Info, remote net.Addr, reason string, err error) {
	e := ended{handler: l.Name, at: time.Now(), reason: reason, info: i}
	if e.info.Remote == nil {
		e.info.Remote = remote
	}
	if e.info.Since.IsZero() {
		e.info.Since = e.at
	}
	if err != nil {
		e.err = err.Error()
	}
	history.add(e)
}
