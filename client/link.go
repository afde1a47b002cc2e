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
	client *Client
	conn   *Conn
	places chan struct{} // one is taken for each request that is on its way: see Request
	down   chan struct{} // closed by end

	broken bool // answers cannot be matched any more; the connection's goroutine owns it

	mu      sync.Mutex                  // guards all below, and orders Appends to conn; no write, no callback and no wait happens under it
	err     error                       // why it ended; nil: it has not
	room    chan struct{}               // closed when there is room again; nil: there is
	calls   []*call                     // the requests without an answer, in the order in which they are on the wire
	pings   map[uint32]chan<- time.Time // who waits for a pong, by the sequence number of the ping
	pingSeq uint32                      // of the last one of these
}

func newLink(c *Client, nc net.Conn) *link {
	l := &link{client: c, places: make(chan struct{}, c.opt.MaxInflight), down: make(chan struct{})}
	l.conn = NewConn(nc, &c.conn, l)
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
	case f.Flag&wire.FlagRsp != 0:
		l.answer(f)
	case l.client.opt.OnFrame != nil:
		l.client.opt.OnFrame(*f)
	}
}

// Flush has nothing to do: Frame has done it.
func (l *link) Flush([]byte) (more bool) { return true }

// Ending tells the Client.
func (l *link) Ending(cause error) { l.client.lost(l, cause) }

// end tells all who wait.
func (l *link) end(cause error) {
	l.mu.Lock()
	l.err = cause
	calls := l.calls
	l.calls = nil
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
	s.Inflight = len(l.calls)
}
