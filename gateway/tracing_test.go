package gateway

import (
	"errors"
	"net"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/caddy-gopr/caddy-gopr/upstream"
)

// TestSpans: what a request becomes. Before and after its group, it is nothing.
func TestSpans(t *testing.T) {
	var tr tracing
	span := tr.of("devices", "devices:0x10")
	began := time.Unix(1000, 0)
	answered := upstream.Exchange{
		Backend: "a:1", Cmd: 0x10, Began: began, Ended: began.Add(20 * time.Millisecond),
		Client: upstream.Client{Source: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 5}},
	}
	lost := upstream.Exchange{Backend: "b:1", Began: began, Ended: began.Add(time.Second), Err: errors.New("EOF")}

	span(answered) // nobody uses it yet
	exporter := tracetest.NewInMemoryExporter()
	tr.start(exporter)
	tr.users = 1
	span(answered)
	span(lost)
	tr.flush()
	got := exporter.GetSpans()
	tr.done()
	span(answered)
	tr.flush()
	if len(got) != 2 {
		t.Fatalf("%d spans, want 2", len(got))
	}
	for i, want := range []struct {
		took       time.Duration
		status     sdktrace.Status
		attributes []attribute.KeyValue
	}{
		{20 * time.Millisecond, sdktrace.Status{}, []attribute.KeyValue{
			attribute.String("gopr.handler", "devices"), attribute.String("gopr.upstream", "devices:0x10"),
			attribute.String("server.address", "a:1"), attribute.String("client.address", "10.0.0.1:5"), attribute.Int64("gopr.answer.command", 0x10),
		}},
		{time.Second, sdktrace.Status{Code: codes.Error, Description: "EOF"}, []attribute.KeyValue{
			attribute.String("gopr.handler", "devices"), attribute.String("gopr.upstream", "devices:0x10"), attribute.String("server.address", "b:1"),
		}},
	} {
		s := got[i]
		if s.Name != "gopr request" || s.SpanKind != trace.SpanKindClient || !s.StartTime.Equal(began) || s.EndTime.Sub(s.StartTime) != want.took || s.Status != want.status {
			t.Errorf("%+v, want it to take %v with %+v", s, want.took, want.status)
		}
		if g, w := attribute.NewSet(s.Attributes...), attribute.NewSet(want.attributes...); !g.Equals(&w) {
			t.Errorf("attributes %v, want %v", s.Attributes, want.attributes)
		}
	}
}

// TestTracingOfAnUnknownExporter: a group that can't be traced does not start, and says why.
func TestTracingOfAnUnknownExporter(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "carrier_pigeon")
	g := AcquireGroup(t.Name(), t.Name(), "", upstream.Config{
		Backends: []string{"127.0.0.1:1"}, MinLinks: -1, Pooling: upstream.Request, Trace: Trace(t.Name(), t.Name()),
	})
	defer ReleaseGroup(g)
	if _, err := g.Upstream(); err == nil {
		t.Error("no error")
	} else {
		t.Log(err)
	}
}

// TestTracingEndsWithItsLastGroup: the SDK's goroutine goes with it; the test's main function looks for it.
func TestTracingEndsWithItsLastGroup(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	cfg := upstream.Config{Backends: []string{"127.0.0.1:1"}, MinLinks: -1, Pooling: upstream.Request}
	for _, name := range []string{"one", "two"} {
		cfg.Trace = Trace(name, name)
		g := AcquireGroup(name, name, "", cfg)
		if _, err := g.Upstream(); err != nil {
			t.Fatal(err)
		}
		defer ReleaseGroup(g)
	}
	if spans.users != 2 {
		t.Errorf("%d groups use it, want 2", spans.users)
	}
}

// BenchmarkSpan is what the link's goroutine spends on one request.
func BenchmarkSpan(b *testing.B) {
	for name, sampler := range map[string]sdktrace.Sampler{"all": sdktrace.AlwaysSample(), "1 %": sdktrace.TraceIDRatioBased(0.01), "none": sdktrace.NeverSample()} {
		b.Run(name, func(b *testing.B) {
			provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler))
			var tr tracing
			tracer := provider.Tracer("")
			tr.tracer.Store(&tracer)
			span := tr.of("devices", "devices")
			x := upstream.Exchange{Backend: "10.0.0.1:9000", Client: upstream.Client{Source: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 5}}, Began: time.Now(), Ended: time.Now()}
			b.ReportAllocs()
			for b.Loop() {
				span(x)
			}
		})
	}
}
