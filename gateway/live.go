package gateway

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// lives holds the Live of each handler name, counted by handler instances and connections.
var lives = caddy.NewUsagePool()

// Live is what all handlers of one name share, over reloads: their connections and their counts.
type Live struct {
	Name  string
	Quiet Quiet // for the log lines of this name

	open atomic.Int64

	door door

	mu    sync.Mutex // guards conns
	conns map[Conn]struct{}

	// The counters of this name, looked up once.
	Opened      prometheus.Counter
	FramesIn    prometheus.Counter
	FramesOut   prometheus.Counter
	BytesIn     prometheus.Counter
	BytesOut    prometheus.Counter
	Pongs       prometheus.Counter
	Lasted      prometheus.Observer // seconds
	RTT         prometheus.Observer // seconds
	Beats       prometheus.Counter  // pings of the gateway's own, answered
	Missed      prometheus.Counter  // and not in time
	Delays      prometheus.Counter
	connections prometheus.Gauge
}

// Conn is a live client connection, as the registry sees it. Its methods may be called from any goroutine.
type Conn interface {
	Info() Info
	// Pending returns how many bytes wait for the client to read them, and whether they are so many that nothing more is read for it.
	Pending() (bytes int, full bool)
	// End closes the connection soon, for the reason given.
	End(reason string)
}

// Info is what is known of a connection at one moment.
type Info struct {
	Remote, Local       net.Addr
	Since               time.Time
	FramesIn, FramesOut uint64
	BytesIn, BytesOut   uint64
	Unsent              int
	Unanswered          int
	Upstream            string
}

// AcquireLive returns the Live of a name, and counts the caller as its user until ReleaseLive.
func AcquireLive(name string) *Live {
	v, _, _ := lives.LoadOrNew(name, func() (caddy.Destructor, error) { return newLive(name), nil })
	return v.(*Live)
}

// ReleaseLive ends one use.
func ReleaseLive(l *Live) { _, _ = lives.Delete(l.Name) }

func newLive(name string) *Live {
	return &Live{
		Name:        name,
		conns:       make(map[Conn]struct{}),
		Opened:      opened.WithLabelValues(name),
		FramesIn:    frames.WithLabelValues(name, "in"),
		FramesOut:   frames.WithLabelValues(name, "out"),
		BytesIn:     bytes.WithLabelValues(name, "in"),
		BytesOut:    bytes.WithLabelValues(name, "out"),
		Pongs:       pongs.WithLabelValues(name),
		Lasted:      lasted.WithLabelValues(name),
		RTT:         rtt.WithLabelValues(name),
		Beats:       beats.WithLabelValues(name, "answered"),
		Missed:      beats.WithLabelValues(name, "missed"),
		Delays:      delays.WithLabelValues(name),
		connections: connections.WithLabelValues(name),
	}
}

// Destruct is called when the last user is gone. The counters stay where they are, as counters do.
func (l *Live) Destruct() error { return nil }

// Admit counts a connection in, unless there are limit already. limit 0: no limit. What was admitted must be dismissed.
func (l *Live) Admit(limit int) bool {
	if n := l.open.Add(1); limit > 0 && n > int64(limit) {
		l.open.Add(-1)
		return false
	}
	l.connections.Inc()
	l.Opened.Inc()
	return true
}

// Dismiss counts an admitted connection out, with the reason for its end.
func (l *Live) Dismiss(reason string) {
	l.open.Add(-1)
	l.connections.Dec()
	l.CountClosed(reason)
}

// CountClosed counts the end of a connection, also of one that was not admitted.
func (l *Live) CountClosed(reason string) { closed.WithLabelValues(l.Name, reason).Inc() }

// CountReject counts a frame that was not accepted.
func (l *Live) CountReject(reason string) { rejects.WithLabelValues(l.Name, reason).Inc() }

// Open returns the number of admitted connections.
func (l *Live) Open() int { return int(l.open.Load()) }

// Add lists an admitted connection, Remove takes it off the list.
func (l *Live) Add(c Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[c] = struct{}{}
}

// Remove takes a connection off the list.
func (l *Live) Remove(c Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// Conns returns the connections that are live at this moment, in no order.
func (l *Live) Conns() []Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]Conn, 0, len(l.conns))
	for c := range l.conns {
		all = append(all, c)
	}
	return all
}
