package gateway

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

// sessionMetrics collects the services' own snapshots at the moment of the scrape.
type sessionMetrics struct{}

var (
	sessionsDesc   = desc("sessions", "Sessions that this process has: their client is attached, or away and its link parked, or away for longer while messages are delivered (orphan).", "handler", "state")
	hellosDesc     = desc("session_hellos_total", "HELLOs, by outcome.", "handler", "outcome")
	takeoversDesc  = desc("session_takeovers_total", "Connections that ended because their client came back over another.", "handler")
	fencedDesc     = desc("session_fenced_total", "Sessions that this process had to give up because another gateway has taken them.", "handler")
	violationsDesc = desc("session_violations_total", "Clients with a session that broke the protocol, by reason.", "handler", "reason")

	takenDesc       = desc("messages_taken_total", "Messages stored: up, from clients; down, from backends.", "handler", "direction")
	deliveredDesc   = desc("messages_delivered_total", "Messages that have arrived where they were to go.", "handler", "direction")
	redeliveredDesc = desc("messages_redelivered_total", "Messages sent once more because no acknowledgement had come.", "handler", "direction")
	failedDesc      = desc("messages_failed_total", "Messages given up after their last repeat. They are kept until they expire.", "handler", "direction")
	refusedDesc     = desc("messages_refused_total", "Messages of clients that were told there is no room.", "handler")
	droppedDesc     = desc("messages_dropped_total", "Messages and frames that nobody will get, by reason.", "handler", "reason")
	lostAsksDesc    = desc("session_requests_lost_total", "Requests whose answers were lost with a link.", "handler")

	queuedDesc      = desc("queue_messages", "Messages stored.", "handler")
	queueBytesDesc  = desc("queue_bytes", "What they take, as the bounds count it.", "handler")
	oldestDesc      = desc("queue_oldest_seconds", "The age of the oldest message that has not failed; 0: there is none.", "handler")
	commitsDesc     = desc("queue_commits_total", "Commits of the message store.", "handler")
	batchesDesc     = desc("queue_batches_total", "Batches of changes that those commits held.", "handler")
	commitTimeDesc  = desc("queue_commit_seconds_total", "The time that those commits took.", "handler")
	storeUpDesc     = desc("store_up", "Whether a store of sessions or messages works (1) or failed when it was last asked (0).", "handler", "store")
	storeErrorsDesc = desc("store_errors_total", "Errors of a store of sessions or messages.", "handler", "store")
)

// directions are the labels of messages, by queue.Direction.
var directions = [...]string{queue.Up: "up", queue.Down: "down"}

// Describe implements prometheus.Collector.
func (sessionMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		sessionsDesc, hellosDesc, takeoversDesc, fencedDesc, violationsDesc,
		takenDesc, deliveredDesc, redeliveredDesc, failedDesc, refusedDesc, droppedDesc, lostAsksDesc,
		queuedDesc, queueBytesDesc, oldestDesc, commitsDesc, batchesDesc, commitTimeDesc, storeUpDesc, storeErrorsDesc,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (sessionMetrics) Collect(ch chan<- prometheus.Metric) {
	for handler, s := range services.snapshot() {
		emit := func(d *prometheus.Desc, t prometheus.ValueType, v float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(d, t, v, append([]string{handler}, labels...)...)
		}
		count := func(d *prometheus.Desc, n uint64, labels ...string) {
			emit(d, prometheus.CounterValue, float64(n), labels...)
		}
		now := func(d *prometheus.Desc, v float64, labels ...string) { emit(d, prometheus.GaugeValue, v, labels...) }

		now(sessionsDesc, float64(s.Attached), "attached")
		now(sessionsDesc, float64(s.Parked), "parked")
		now(sessionsDesc, float64(s.Orphans), "orphan")
		for outcome, n := range s.Hellos {
			count(hellosDesc, n, outcome)
		}
		count(takeoversDesc, s.Takeovers)
		count(fencedDesc, s.Fenced)
		for reason, n := range s.Violations {
			count(violationsDesc, n, reason)
		}
		for d, direction := range directions {
			count(takenDesc, s.Taken[d], direction)
			count(deliveredDesc, s.Delivered[d], direction)
			count(redeliveredDesc, s.Redelivered[d], direction)
			count(failedDesc, s.Failed[d], direction)
		}
		count(refusedDesc, s.Refused)
		count(droppedDesc, s.Dropped, "away")
		count(droppedDesc, s.Queue.Dropped, "overflow")
		count(droppedDesc, s.Queue.Expired, "expired")
		count(lostAsksDesc, s.Lost)

		now(queuedDesc, float64(s.Queue.Messages))
		now(queueBytesDesc, float64(s.Queue.Bytes))
		oldest := 0.0
		if !s.Queue.Oldest.IsZero() {
			oldest = max(0, time.Since(s.Queue.Oldest).Seconds())
		}
		now(oldestDesc, oldest)
		count(commitsDesc, s.Queue.Commits)
		count(batchesDesc, s.Queue.Batches)
		emit(commitTimeDesc, prometheus.CounterValue, s.Queue.Waited.Seconds())
		for store, down := range s.StoreDown {
			now(storeUpDesc, is(!down), store)
		}
		for store, n := range s.StoreErrors {
			count(storeErrorsDesc, n, store)
		}
	}
}
