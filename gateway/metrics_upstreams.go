package gateway

import (
	"cmp"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-gopr/caddy-gopr/upstream"
)

// upstreams collects the groups' own snapshots at the moment of the scrape.
type upstreams struct{}

var (
	waitingDesc  = desc("upstream_waiting", "Client connections that wait for a link to a backend.", "handler", "upstream")
	waitsDesc    = desc("upstream_wait_seconds", "How long clients waited for a link, or for room on one, before they got it.", "handler", "upstream")
	upDesc       = desc("upstream_up", "Whether a backend is connected (1) or not (0).", "handler", "upstream", "backend")
	linksDesc    = desc("upstream_links", "Links to a backend: leased by a client, spare, or being dialled.", "handler", "upstream", "backend", "state")
	failuresDesc = desc("upstream_failures", "Failures of a backend in a row.", "handler", "upstream", "backend")
	dialsDesc    = desc("upstream_dials_total", "Dials to a backend, by outcome.", "handler", "upstream", "backend", "outcome")
	lostDesc     = desc("upstream_links_lost_total", "Links that ended otherwise than with their client.", "handler", "upstream", "backend")
	closedDesc   = desc("upstream_links_closed_total", "Links that ended, by reason.", "handler", "upstream", "backend", "reason")
	strayDesc    = desc("upstream_unsolicited_frames_total", "Frames of backends that answered nothing, under request pooling.", "handler", "upstream", "backend")
	carriersDesc = desc("upstream_connections", "Connections that carry the links to a backend, under mux pooling.", "handler", "upstream", "backend")
	shakesDesc   = desc("upstream_handshakes_total", "TLS handshakes with a backend, by outcome.", "handler", "upstream", "backend", "outcome")
	lookupsDesc  = desc("upstream_lookups_total", "DNS lookups of backends, by outcome.", "handler", "upstream", "outcome")
	foundDesc    = desc("upstream_discovered", "Backends in the last good answer of a lookup.", "handler", "upstream")
	stateDesc    = desc("upstream_state", "The state of a backend: 1 for the one it is in, 0 for the others.", "handler", "upstream", "backend", "state")
	breakerDesc  = desc("upstream_breaker_state", "The state of the breaker of a backend: 1 for the one it is in, 0 for the others.", "handler", "upstream", "backend", "state")
	usedDesc     = desc("upstream_used", "Links that clients have, under request pooling requests in flight.", "handler", "upstream", "backend")
	capacityDesc = desc("upstream_capacity", "How many caddy_gopr_upstream_used may become; no series where there is no bound.", "handler", "upstream", "backend")
	requestsDesc = desc("upstream_request_seconds", "How long backends took to answer.", "handler", "upstream", "backend")
	rttDesc      = desc("upstream_rtt_seconds", "Round trips of the heartbeats to backends.", "handler", "upstream", "backend")
	scoreDesc    = desc("upstream_health_score", "The health score of a backend, 0 to 100.", "handler", "upstream", "backend")
	partDesc     = desc("upstream_health_part", "The parts of the health score, in points: rtt, failures, tls.", "handler", "upstream", "backend", "part")
	p95Desc      = desc("upstream_health_rtt_p95_seconds", "The round trip that 95 % of the last did not exceed; no series where none was measured.", "handler", "upstream", "backend")
	takesDesc    = desc("upstream_takes", "Whether new work goes to a backend (1) or not (0).", "handler", "upstream", "backend")
	ejectedDesc  = desc("upstream_ejected", "Whether a backend is put aside as an outlier (1) or not (0).", "handler", "upstream", "backend")
	beatsDesc    = desc("upstream_heartbeats_total", "Heartbeats to backends, by outcome.", "handler", "upstream", "backend", "outcome")
)

// states are those that a backend can be in.
var states = []string{"disconnected", "connecting", "connected", "reconnecting", "paused"}

// Describe implements prometheus.Collector.
func (upstreams) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		waitingDesc, waitsDesc, upDesc, linksDesc, failuresDesc, dialsDesc, lostDesc, closedDesc, strayDesc, shakesDesc, carriersDesc, stateDesc, breakerDesc, usedDesc, capacityDesc, requestsDesc, rttDesc, beatsDesc,
		scoreDesc, partDesc, p95Desc, takesDesc, ejectedDesc, lookupsDesc, foundDesc,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (upstreams) Collect(ch chan<- prometheus.Metric) {
	for of, s := range totals.snapshot() {
		emit := func(d *prometheus.Desc, t prometheus.ValueType, v float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(d, t, v, append([]string{of.handler, of.name}, labels...)...)
		}
		times := func(d *prometheus.Desc, t upstream.Times, labels ...string) {
			ch <- histogram(d, t, append([]string{of.handler, of.name}, labels...)...)
		}
		times(waitsDesc, s.Waits)
		emit(waitingDesc, prometheus.GaugeValue, float64(s.Waiting))
		if d := s.Discovery; d != nil {
			emit(lookupsDesc, prometheus.CounterValue, float64(d.Lookups-d.Failed), "ok")
			emit(lookupsDesc, prometheus.CounterValue, float64(d.Failed), "error")
			emit(foundDesc, prometheus.GaugeValue, float64(d.Found))
		}
		for _, b := range s.Backends {
			emit(upDesc, prometheus.GaugeValue, is(b.State == "connected"), b.Backend)
			emit(linksDesc, prometheus.GaugeValue, float64(b.Links-b.Spare), b.Backend, "leased")
			emit(linksDesc, prometheus.GaugeValue, float64(b.Spare), b.Backend, "spare")
			emit(linksDesc, prometheus.GaugeValue, float64(b.Dialing), b.Backend, "dialing")
			emit(failuresDesc, prometheus.GaugeValue, float64(b.Failures), b.Backend)
			emit(dialsDesc, prometheus.CounterValue, float64(b.Dials-b.DialErrors-uint64(b.Dialing)), b.Backend, "ok")
			emit(dialsDesc, prometheus.CounterValue, float64(b.DialErrors), b.Backend, "error")
			emit(lostDesc, prometheus.CounterValue, float64(b.Lost), b.Backend)
			for reason, n := range b.Ended {
				emit(closedDesc, prometheus.CounterValue, float64(n), b.Backend, reason)
			}
			emit(strayDesc, prometheus.CounterValue, float64(b.Unsolicited), b.Backend)
			if s.Pooling == upstream.Mux {
				emit(carriersDesc, prometheus.GaugeValue, float64(b.Connections), b.Backend)
			}
			emit(shakesDesc, prometheus.CounterValue, float64(b.Handshakes-b.HandshakeErrors), b.Backend, "ok")
			emit(shakesDesc, prometheus.CounterValue, float64(b.HandshakeErrors), b.Backend, "error")
			for _, state := range states {
				emit(stateDesc, prometheus.GaugeValue, is(b.State == state), b.Backend, state)
			}
			for _, state := range []upstream.Breaker{upstream.BreakerClosed, upstream.BreakerOpen, upstream.BreakerHalfOpen} {
				emit(breakerDesc, prometheus.GaugeValue, is(b.Breaker == state), b.Backend, string(state))
			}
			emit(usedDesc, prometheus.GaugeValue, float64(b.Used), b.Backend)
			if b.Capacity > 0 {
				emit(capacityDesc, prometheus.GaugeValue, float64(b.Capacity), b.Backend)
			}
			times(requestsDesc, b.Requests, b.Backend)
			times(rttDesc, b.RTT, b.Backend)
			emit(beatsDesc, prometheus.CounterValue, float64(b.HeartbeatsAnswered), b.Backend, "answered")
			emit(beatsDesc, prometheus.CounterValue, float64(b.HeartbeatsMissed), b.Backend, "missed")
			emit(scoreDesc, prometheus.GaugeValue, b.Health.Score, b.Backend)
			emit(partDesc, prometheus.GaugeValue, b.Health.Parts.RTT, b.Backend, "rtt")
			emit(partDesc, prometheus.GaugeValue, b.Health.Parts.Failures, b.Backend, "failures")
			emit(partDesc, prometheus.GaugeValue, b.Health.Parts.TLS, b.Backend, "tls")
			if b.Health.Samples > 0 {
				emit(p95Desc, prometheus.GaugeValue, b.Health.P95, b.Backend)
			}
			emit(takesDesc, prometheus.GaugeValue, is(b.Takes), b.Backend)
			emit(ejectedDesc, prometheus.GaugeValue, is(!b.EjectedUntil.IsZero()), b.Backend)
		}
	}
}

// is is the value of a gauge that says whether something is so.
func is(so bool) float64 {
	if so {
		return 1
	}
	return 0
}

// histogram is the metric of times.
func histogram(d *prometheus.Desc, t upstream.Times, labels ...string) prometheus.Metric {
	buckets := make(map[float64]uint64, len(upstream.TimeBounds))
	var n uint64
	for i, bound := range upstream.TimeBounds {
		n += t.Counts[i]
		buckets[bound.Seconds()] = n
	}
	return prometheus.MustNewConstHistogram(d, t.Count(), t.Sum.Seconds(), buckets, labels...)
}

// add adds up two groups of one name.
func add(a, b upstream.Stat) upstream.Stat {
	a.Pooling = cmp.Or(b.Pooling, a.Pooling)
	a.Waiting += b.Waiting
	a.Waits.Add(b.Waits)
	switch {
	case b.Discovery == nil:
	case a.Discovery == nil:
		a.Discovery = b.Discovery
	default: // they look up the same, or the older will soon be gone
		a.Discovery.Lookups, a.Discovery.Failed = a.Discovery.Lookups+b.Discovery.Lookups, a.Discovery.Failed+b.Discovery.Failed
		a.Discovery.Found = max(a.Discovery.Found, b.Discovery.Found)
	}
next:
	for _, nb := range b.Backends {
		for i := range a.Backends {
			if ob := &a.Backends[i]; ob.Backend == nb.Backend {
				ob.Links, ob.Spare, ob.Dialing = ob.Links+nb.Links, ob.Spare+nb.Spare, ob.Dialing+nb.Dialing
				addTotals(ob, &nb)
				ob.Connections += nb.Connections
				ob.InFlight += nb.InFlight
				ob.Used, ob.Capacity = ob.Used+nb.Used, ob.Capacity+nb.Capacity
				ob.Failures = max(ob.Failures, nb.Failures)
				if nb.Health.Score < ob.Health.Score { // the worse of two opinions
					ob.Health = nb.Health
				}
				ob.Takes = ob.Takes || nb.Takes
				if nb.EjectedUntil.After(ob.EjectedUntil) {
					ob.EjectedUntil = nb.EjectedUntil
				}
				if nb.State == "connected" {
					ob.State = nb.State
				}
				if nb.Breaker == upstream.BreakerClosed {
					ob.Breaker = nb.Breaker
				}
				continue next
			}
		}
		a.Backends = append(a.Backends, nb)
	}
	return a
}
