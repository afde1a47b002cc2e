package gateway

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-gopr/caddy-gopr/upstream"
)

// upstreams collects the groups' own snapshots at the moment of the scrape.
type upstreams struct{}

var (
	waitingDesc  = desc("upstream_waiting", "Client connections that wait for a link to a backend.", "handler", "upstream")
	upDesc       = desc("upstream_up", "Whether a backend is connected (1) or not (0).", "handler", "upstream", "backend")
	linksDesc    = desc("upstream_links", "Links to a backend: leased by a client, spare, or being dialled.", "handler", "upstream", "backend", "state")
	failuresDesc = desc("upstream_failures", "Failures of a backend in a row.", "handler", "upstream", "backend")
	dialsDesc    = desc("upstream_dials_total", "Dials to a backend, by outcome.", "handler", "upstream", "backend", "outcome")
	lostDesc     = desc("upstream_links_lost_total", "Links that ended otherwise than with their client.", "handler", "upstream", "backend")
)

// Describe implements prometheus.Collector.
func (upstreams) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{waitingDesc, upDesc, linksDesc, failuresDesc, dialsDesc, lostDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (upstreams) Collect(ch chan<- prometheus.Metric) {
	for of, s := range snapshot() {
		emit := func(d *prometheus.Desc, t prometheus.ValueType, v float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(d, t, v, append([]string{of.handler, of.name}, labels...)...)
		}
		emit(waitingDesc, prometheus.GaugeValue, float64(s.Waiting))
		for _, b := range s.Backends {
			up := 0.0
			if b.State == "connected" {
				up = 1
			}
			emit(upDesc, prometheus.GaugeValue, up, b.Backend)
			emit(linksDesc, prometheus.GaugeValue, float64(b.Links-b.Spare), b.Backend, "leased")
			emit(linksDesc, prometheus.GaugeValue, float64(b.Spare), b.Backend, "spare")
			emit(linksDesc, prometheus.GaugeValue, float64(b.Dialing), b.Backend, "dialing")
			emit(failuresDesc, prometheus.GaugeValue, float64(b.Failures), b.Backend)
			emit(dialsDesc, prometheus.CounterValue, float64(b.Dials-b.DialErrors-uint64(b.Dialing)), b.Backend, "ok")
			emit(dialsDesc, prometheus.CounterValue, float64(b.DialErrors), b.Backend, "error")
			emit(lostDesc, prometheus.CounterValue, float64(b.Lost), b.Backend)
		}
	}
}

// snapshot returns what the groups look like, by handler and name. After a reload with other backends an old and a new group of one name are there at the same
// time: they are added up.
func snapshot() map[groupKey]upstream.Stat {
	all := make(map[groupKey]upstream.Stat)
	groups.Range(func(_, v any) bool {
		g := v.(*Group)
		if s, ok := g.stat(); ok {
			of := groupKey{handler: g.key.handler, name: g.key.name}
			all[of] = add(all[of], s)
		}
		return true
	})
	return all
}

func add(a, b upstream.Stat) upstream.Stat {
	a.Waiting += b.Waiting
next:
	for _, nb := range b.Backends {
		for i := range a.Backends {
			if ob := &a.Backends[i]; ob.Backend == nb.Backend {
				ob.Links, ob.Spare, ob.Dialing = ob.Links+nb.Links, ob.Spare+nb.Spare, ob.Dialing+nb.Dialing
				ob.Dials, ob.DialErrors, ob.Lost = ob.Dials+nb.Dials, ob.DialErrors+nb.DialErrors, ob.Lost+nb.Lost
				ob.Failures = max(ob.Failures, nb.Failures)
				if nb.State == "connected" {
					ob.State = nb.State
				}
				continue next
			}
		}
		a.Backends = append(a.Backends, nb)
	}
	return a
}
