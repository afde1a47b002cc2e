package gateway

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/caddy-gopr/caddy-gopr/upstream"
)

// farewell is how long the last spans may take to be sent when tracing ends.
const farewell = 2 * time.Second

// spans are sent by OpenTelemetry's SDK, set up by the environment variables OTEL_… as Caddy's own tracing of HTTP is. It runs while a group uses it.
var spans tracing

type tracing struct {
	mu       sync.Mutex // guards all below
	users    int
	provider *sdktrace.TracerProvider

	tracer atomic.Pointer[trace.Tracer] // nil: nobody uses it
}

// use starts the SDK for a group, if it is the first.
func (t *tracing) use() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.users == 0 {
		exporter, err := autoexport.NewSpanExporter(context.Background())
		if err != nil {
			return fmt.Errorf("tracing: %w", err)
		}
		t.start(exporter)
	}
	t.users++
	return nil
}

// start has spans sent to the exporter, in batches. t.mu is held.
func (t *tracing) start(exporter sdktrace.SpanExporter) {
	t.provider = sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter))
	tracer := t.provider.Tracer("github.com/caddy-gopr/caddy-gopr")
	t.tracer.Store(&tracer)
}

// done ends one group's use. With the last one, what is left is sent.
func (t *tracing) done() {
	t.mu.Lock()
	t.users--
	if t.users > 0 {
		t.mu.Unlock()
		return
	}
	provider := t.provider
	t.provider = nil
	t.tracer.Store(nil)
	t.mu.Unlock()
	bounded(provider.Shutdown)
}

// flush sends what there is: the process ends, and groups may live until then.
func (t *tracing) flush() {
	t.mu.Lock()
	provider := t.provider
	t.mu.Unlock()
	if provider != nil {
		bounded(provider.ForceFlush)
	}
}

// bounded has the last spans sent, and does not wait for ever.
func bounded(send func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	if err := send(ctx); err != nil {
		Log.Warn("spans were not sent", "error", err)
	}
}

// Trace makes a span of each request of a group, and sends it while the group lives: it is the group's upstream.Config.Trace. Requests carry no trace of who caused
// them, so each is a trace of its own.
func Trace(handler, name string) func(upstream.Exchange) { return spans.of(handler, name) }

func (t *tracing) of(handler, name string) func(upstream.Exchange) {
	common := []attribute.KeyValue{attribute.String("gopr.handler", handler), attribute.String("gopr.upstream", name)}
	return func(x upstream.Exchange) {
		tracer := t.tracer.Load()
		if tracer == nil {
			return
		}
		_, span := (*tracer).Start(context.Background(), "gopr request", trace.WithTimestamp(x.Began), trace.WithSpanKind(trace.SpanKindClient))
		if span.IsRecording() {
			span.SetAttributes(common...)
			span.SetAttributes(attribute.String("server.address", x.Backend))
			if x.Client.Source != nil {
				span.SetAttributes(attribute.String("client.address", x.Client.Source.String()))
			}
			if x.Err != nil {
				span.SetStatus(codes.Error, x.Err.Error())
			} else {
				span.SetAttributes(attribute.Int64("gopr.answer.command", int64(x.Cmd)))
			}
		}
		span.End(trace.WithTimestamp(x.Ended))
	}
}
