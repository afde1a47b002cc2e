package gateway

import "github.com/prometheus/client_golang/prometheus"

const namespace, subsystem = "caddy", "gopr"

// The collectors are made once for the process, and registered with the registry of every configuration: so counts go on over good and rejected reloads
// alike. Labels are of bounded number: never a client's address.
var collectors = append(clientMetrics, upstreams{}, sessionMetrics{}, eventsDropped)

var eventsDropped = counter("events_dropped_total", "Events that were not emitted because too many waited for slow subscribers.").WithLabelValues()

// register adds the collectors to a configuration's registry; those that are there already stay.
func register(reg *prometheus.Registry) {
	for _, c := range collectors {
		_ = reg.Register(c) // fails only where another handler of this configuration was first
	}
}

func gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}, labels)
}

func gaugeOf(name, help string, value func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}, value)
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}, labels)
}

func histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help, Buckets: buckets}, labels)
}

// desc describes what a collector of its own emits.
func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, subsystem, name), help, labels, nil)
}
