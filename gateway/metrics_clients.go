package gateway

import "github.com/prometheus/client_golang/prometheus"

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

	clientMetrics = []prometheus.Collector{connections, opened, closed, frames, bytes, rejects, pongs, acceptErrors}
)
