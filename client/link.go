package client

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// link is one connection of a Client, and who waits on it. It ends with its connection: nothing of it
// reaches the next one. It is its connection's Receiver.
type link struct {
	client  *Client
	conn    *Conn
	session *session      // nil: the connection is plain
	crc     bool          // its frames have a checksum
	places  chan struct{} // one is taken for each request that is on its way: see Request
	down    chan struct{} // closed by end

	broken bool // answers cannot be matched any more; the connection's goroutine owns it

	mu      sync.Mutex                  // guards all below, and orders Appends to conn; no write, no callback and no wait happens under it
	err     error                       // why it ended; nil: it has not
	room    chan struct{}               // closed when there is room again; nil: there is
	calls   []*call                     // the requests without an answer, in the order in which they are on the wire
	asked   map[uint32]*call            // the same where there is a session, by their ids
	pings   map[uint32]chan<- time.Time // who waits for a pong, by the sequence number of the ping
	pingSeq uint32                      // of the last one of these
}

// newLink makes a link of an established connection; w is what it was greeted with, nil: it is plain.
func newLink(c *Client, nc net.Conn, w *wire.Welcome) *link {
	l := &link{client: c, places: make(chan struct{}, c.opt.MaxInflight), down: make(chan struct{})}
	cfg := &c.conn
	if w != nil {
		l.session, l.asked = c.session, make(map[uint32]*call)
		l.crc = w.Capabilities&wire.CapCRC != 0
		cfg = c.extendedConn(w)
	}
	l.conn = NewConn(nc, cfg, l)
	return l
}

// serve runs the connection until it ends.
func (l *link) serve(ctx context.Context) {
	_ = l.conn.Serve(ctx) // Ending is told why it ends
}

// Frame tells answers from what is the application's.
func (l *link) Frame(_ []byte, _, _ int, f *wire.Frame) {
	switch {
	case l.broken:
	case l.session != nil:
		l.extended(f)
	case f.Flag&wire.FlagRsp != 0:
		l.answer(f)
	case l.client.opt.OnFrame != nil:
		l.client.opt.OnFrame(*f)
	}
}

// Flush has little to do: Frame has done it.
func (l *link) Flush([]byte) (more bool) {
	if l.session != nil {
		l.session.flushed()
	}
	return true
}

// Ending tells the Client.
func (l *link) Ending(cause error) { l.client.lost(l, cause) }

// end tells all who wait.
func (l *link) end(cause error) {
	l.mu.Lock()
	l.err = cause
	calls := l.calls
	l.calls = nil
	for id, asked := range l.asked {
		calls = append(calls, asked)
		delete(l.asked, id)
	}
	for _, asked := range calls {
		asked.told = !asked.gone
	}
	l.mu.Unlock()
	close(l.down)
	lose(calls, cause)
}

// cause is why the link has ended; nil: it has not.
func (l *link) cause() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// status fills in what the connection knows.
func (l *link) status(s *Status) {
	s.LocalAddr, s.RemoteAddr = l.conn.LocalAddr(), l.conn.RemoteAddr()
	s.RTT, s.Unsent = l.conn.RTT(), l.conn.Unsent()
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Inflight = len(l.calls) + len(l.asked)
}
