package gateway

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-gopr/caddy-gopr/upstream"
)

// TestHistogram: the times of upstream are Prometheus's, which counts what is at most as long as a bound.
func TestHistogram(t *testing.T) {
	var times upstream.Times
	times.Counts[0] = 2                        // up to 100 µs
	times.Counts[3] = 5                        // up to 1 ms
	times.Counts[len(upstream.TimeBounds)] = 1 // beyond the last bound
	times.Sum = 40 * time.Second
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(constant{histogram(waitsDesc, times, "h", "u")})
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	h := families[0].GetMetric()[0].GetHistogram()
	if h.GetSampleCount() != 8 || h.GetSampleSum() != 40 {
		t.Errorf("%d in %v s, want 8 in 40", h.GetSampleCount(), h.GetSampleSum())
	}
	for _, want := range []struct {
		bound float64
		n     uint64
	}{{0.0001, 2}, {0.00025, 2}, {0.001, 7}, {30, 7}} {
		found := false
		for _, b := range h.GetBucket() {
			if b.GetUpperBound() == want.bound {
				found = true
				if b.GetCumulativeCount() != want.n {
					t.Errorf("%d took at most %v s, want %d", b.GetCumulativeCount(), want.bound, want.n)
				}
			}
		}
		if !found {
			t.Errorf("there is no bucket for %v s", want.bound)
		}
	}
}

// constant is a collector of one metric.
type constant struct{ prometheus.Metric }

func (c constant) Describe(ch chan<- *prometheus.Desc) { ch <- c.Desc() }
func (c constant) Collect(ch chan<- prometheus.Metric) { ch <- c.Metric }
