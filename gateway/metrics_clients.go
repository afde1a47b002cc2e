package gateway

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-gopr/caddy-gopr/transport"
	"github.com/caddy-gopr/caddy-gopr/upstream"
)

// What is counted of the clients of a handler, as it happens.
var (
	connections = gauge("connections", "Client connections now.", "handler")
	opened      = counter("connections_opened_total", "Client connections taken in.", "handler")
	closed      = counter("connections_closed_total", "Client connections that ended, by reason.", "handler", "reason")
	frames      = counter("frames_total", "Application frames: in from clients, out to clients.", "handler", "direction")
	bytes       = counter("bytes_total", "Bytes, control frames included: in from clients, out to clients.", "handler", "direction")
	rejects     = counter("rejected_frames_total", "Frames from clients that were not accepted, by reason.", "handler", "reason")
	pongs       = counter("pings_answered_total", "Pings of clients answered by the gateway.", "handler")

	acceptErrors = counter("accept_errors_total", "Accepts on listeners of the network gopr that failed and were tried again.").WithLabelValues()

	drainingNow = gauge("draining", "Whether a handler drains (1): nobody is let in, and those that are in are sent away.", "handler")

	lasted = histograms("connection_duration_seconds", "How long client connections lasted.", lifetimes, "handler")
	rtt    = histograms("rtt_seconds", "Round trips of the gateway's own pings to clients.", seconds(upstream.TimeBounds[:]), "handler")
	beats  = counter("heartbeats_total", "The gateway's own pings to clients, by outcome.", "handler", "outcome")

	delays = counter("rate_delays_total", "Times that reading from a client rested because it sent more than its limits allow.", "handler")

	memoryUsed    = gaugeOf("memory_bytes", "Memory that connections and links take: their buffers, and a fixed amount for each client.", func() float64 { return float64(memory.used()) })
	memoryCeiling = gaugeOf("memory_ceiling_bytes", "How much that may be; 0: there is no ceiling.", func() float64 { return float64(memory.ceiling.Load()) })

	eventLoops = gaugeOf("event_loops", "Event loops that serve connections.", func() float64 { all, _ := transport.Loops(); return float64(all) })
	ringLoops  = gaugeOf("event_loops_io_uring", "How many of them read and write for many connections with one system call.", func() float64 { _, rings := transport.Loops(); return float64(rings) })

	clientMetrics = []prometheus.Collector{
		connections, opened, closed, frames, bytes, rejects, pongs, delays,
		acceptErrors, drainingNow,
		lasted, rtt, beats,
		pending{},
		memoryUsed, memoryCeiling,
		eventLoops, ringLoops,
	}
)

// lifetimes are the buckets of how long connections last, in seconds: a second, ten, a minute, ten, an hour, six, a day, a week.
var lifetimes = []float64{1, 10, 60, 600, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600}

func seconds(bounds []time.Duration) (all []float64) {
	for _, b := range bounds {
		all = append(all, b.Seconds())
	}
	return all
}

// pending collects, at the moment of the scrape, what the clients have yet to read.
type pending struct{}

var (
	pendingDesc = desc("pending_bytes", "Bytes that wait for clients to read them.", "handler")
	slowDesc    = desc("slow_clients", "Client connections that have so many bytes to read that nothing more is read for them.", "handler")
)

// Describe implements prometheus.Collector.
func (pending) Describe(ch chan<- *prometheus.Desc) {
	ch <- pendingDesc
	ch <- slowDesc
}

// Collect implements prometheus.Collector.
func (pending) Collect(ch chan<- prometheus.Metric) {
	var all []*Live
	lives.Range(func(_, v any) bool { // what takes long is not done under the pool's lock
		all = append(all, v.(*Live))
		return true
	})
	for _, l := range all {
		bytes, slow := 0, 0
		for _, c := range l.Conns() {
			n, full := c.Pending()
			bytes += n
			if full {
				slow++
			}
		}
		ch <- prometheus.MustNewConstMetric(pendingDesc, prometheus.GaugeValue, float64(bytes), l.Name)
		ch <- prometheus.MustNewConstMetric(slowDesc, prometheus.GaugeValue, float64(slow), l.Name)
	}
}
