package gateway

import (
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// lives holds the Live of each handler name, counted by handler instances and connections.
var lives = caddy.NewUsagePool()

// Live is what all handlers of one name share, over reloads: their connections and their counts.
type Live struct {
	Name  string
	Quiet Quiet // for the log lines of this name

	open    atomic.Int64
	current atomic.Pointer[Generation]
	drain   drain

	door door

	conns registry

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
func (l *Live) Destruct() error {
	drainingNow.DeleteLabelValues(l.Name)
	return nil
}

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
func (l *Live) Add(c Conn) { l.conns.add(c) }

// Remove takes a connection off the list.
func (l *Live) Remove(c Conn) { l.conns.remove(c.ID()) }

// Conns returns the connections that are live at this moment, in the order in which they came.
func (l *Live) Conns() []Conn {
	var all []Conn
	for e := range walk([]*Live{l}, 0) {
		all = append(all, e.conn)
	}
	return all
}
