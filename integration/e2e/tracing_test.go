package e2e

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// A spanCollector takes spans as OpenTelemetry's collector does, over HTTP.
type spanCollector struct {
	mu    sync.Mutex
	spans []*otlp.Span
}

func (c *spanCollector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	b, err := io.ReadAll(body)
	var req collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(b, &req)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, fmt.Sprint(r.URL.Path, err), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range req.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
}

func (c *spanCollector) all() []*otlp.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spans
}

// TestTracing: a collector gets a span of each request, answered or not, and of no other frame; the last of them when Caddy ends.
func TestTracing(t *testing.T) {
	spans := new(spanCollector)
	server := httptest.NewServer(spans)
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "100")

	b := newBackend(t, hangsUp)
	c := start(t, config(`
		${traced} {
			route {
				gopr traced {
					upstream ${backend} {
						pooling request
						connections 1 1
						tracing
					}
				}
			}
		}
		${untraced} {
			route {
				gopr untraced {
					upstream ${backend} {
						pooling request
					}
				}
			}
		}`), places{"backend": b.addr})
	d := dial(t, c.addr("traced"))
	const requests = 20
	for i := range requests {
		check(t, d.ask(fmt.Sprint("request ", i)))
	}
	check(t, d.ping("no request"))
	check(t, dial(t, c.addr("untraced")).ask("not traced"))
	eventually(t, "the spans of the requests", func() bool { return len(spans.all()) >= requests })

	check(t, d.send(wire.AppendFrame(nil, cmdHangUp, wire.FlagReq, nil)))
	check(t, d.ended())
	if _, err := c.terminate(); err != nil {
		t.Error(err)
	}
	all := spans.all()
	if len(all) != requests+1 {
		t.Fatalf("%d spans, want %d", len(all), requests+1)
	}
	for i, s := range all {
		attributes := make(map[string]string)
		for _, kv := range s.Attributes {
			attributes[kv.Key] = kv.Value.GetStringValue()
		}
		if s.Name != "gopr request" || attributes["gopr.handler"] != "traced" || attributes["gopr.upstream"] != "traced" ||
			attributes["server.address"] != b.addr || attributes["client.address"] != d.LocalAddr().String() || s.EndTimeUnixNano <= s.StartTimeUnixNano {
			t.Errorf("span %d: %v", i, s)
		}
		lost := i == requests
		if failed := s.Status.GetCode() == otlp.Status_STATUS_CODE_ERROR; failed != lost {
			t.Errorf("span %d has the status %v", i, s.Status)
		}
	}
}
