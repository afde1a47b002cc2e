package gateway

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-gopr/caddy-gopr/upstream"
)

// useGroup starts a group that dials nobody.
func useGroup(t *testing.T, handler, name string, backends ...string) *Group {
	t.Helper()
	g := AcquireGroup(handler, name, strings.Join(backends, " "), upstream.Config{Backends: backends, MinLinks: -1})
	t.Cleanup(func() { ReleaseGroup(g) })
	if _, err := g.Upstream(); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGetUpstreams(t *testing.T) {
	useGroup(t, "h2", "h2", "10.0.0.1:9000")
	useGroup(t, "h1", "h1:0x10-0x1F,0x30", "10.0.0.1:9000", "10.0.0.2:9000")
	useGroup(t, "h1", "h1", "10.0.0.3:9000")
	AcquireGroup("h1", "h1:validated", "", upstream.Config{Backends: []string{"10.0.0.4:9000"}}) // and never started
	defer ReleaseGroup(&Group{key: groupKey{"h1", "h1:validated", ""}})
	var names []string
	for _, u := range askFor[upstreamsView](t, http.MethodGet, "/gopr/upstreams").Upstreams {
		names = append(names, u.Handler+" "+u.Upstream)
	}
	if got, want := strings.Join(names, ", "), "h1 h1, h1 h1:0x10-0x1F,0x30, h2 h2"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	one := askFor[upstreamsView](t, http.MethodGet, "/gopr/upstreams/h1:0x10-0x1F,0x30").Upstreams
	if len(one) != 1 || len(one[0].Backends) != 2 || one[0].Backends[1].Backend != "10.0.0.2:9000" || one[0].Pooling != upstream.Session {
		t.Errorf("%+v", one)
	}
	if status, body := ask(t, http.MethodGet, "/gopr/upstreams/h3"); status != http.StatusNotFound || !strings.Contains(body, `there are [\"h1\"`) {
		t.Errorf("%d %s", status, body)
	}
}

// The names of the fields are the API's.
func TestUpstreamView(t *testing.T) {
	useGroup(t, "h", "h", "10.0.0.1:9000")
	_, body := ask(t, http.MethodGet, "/gopr/upstreams/h")
	for _, field := range []string{`"handler":"h"`, `"upstream":"h"`, `"admin":"enabled"`, `"pooling":"session"`, `"waiting":0`, `"backend":"10.0.0.1:9000"`, `"state":"disconnected"`, `"breaker":"closed"`, `"links":0`, `"in_flight":0`, `"failures":0`} {
		if !strings.Contains(body, field) {
			t.Errorf("no %s in %s", field, body)
		}
	}
	if strings.Contains(body, "next_dial") || strings.Contains(body, `"error"`) {
		t.Errorf("a backend that never failed: %s", body)
	}
}

func TestPostVerb(t *testing.T) {
	const a, b = "10.0.0.1:9000", "10.0.0.2:9000"
	useGroup(t, "h", "h", a, b)
	for _, tt := range []struct {
		uri    string
		status int
		says   string
	}{
		{"/gopr/upstreams/h/pause", 200, `"admin":"paused"`},
		{"/gopr/upstreams/h/resume", 200, `"admin":"enabled"`},
		{"/gopr/upstreams/h/disable?backend=" + b, 200, `"backend":"10.0.0.2:9000","admin":"disabled"`},
		{"/gopr/upstreams/h/drain?backend=" + b, 409, "upstream h: it is disabled: enable it"},
		{"/gopr/upstreams/h/enable?backend=" + b, 200, `"backend":"10.0.0.2:9000","admin":"enabled"`},
		{"/gopr/upstreams/h/drain", 200, `"admin":"drained"`},
		{"/gopr/upstreams/h/reconnect", 200, `"admin":"drained"`},
		{"/gopr/upstreams/h/resume", 200, `"admin":"enabled"`},
		{"/gopr/upstreams/h/restart", 404, `\"restart\" is none of [pause resume`},
		{"/gopr/upstreams/h/pause?backend=10.0.0.3:9000", 404, `no such backend: 10.0.0.3:9000; it has [\"10.0.0.1:9000\" \"10.0.0.2:9000\"]`},
		{"/gopr/upstreams/h/pause?server=" + b, 400, `no parameter \"server\"`},
		{"/gopr/upstreams/g/pause", 404, `no upstream \"g\"`},
	} {
		if status, body := ask(t, http.MethodPost, tt.uri); status != tt.status || !strings.Contains(body, tt.says) {
			t.Errorf("POST %s: %d %s, want %d and %s", tt.uri, status, body, tt.status, tt.says)
		}
	}
	if status, body := ask(t, http.MethodGet, "/gopr/upstreams/h/pause"); status != http.StatusMethodNotAllowed {
		t.Errorf("GET of a verb: %d %s", status, body)
	}
}

// A reload may leave an old group of the same name to its clients. A verb holds for both, where both have the backend.
func TestVerbHoldsForOldGroups(t *testing.T) {
	const a, b = "10.0.0.1:9000", "10.0.0.2:9000"
	older, newer := useGroup(t, "h", "h", a), useGroup(t, "h", "h", a, b)
	for _, uri := range []string{"/gopr/upstreams/h/pause", "/gopr/upstreams/h/disable?backend=" + b} {
		if status, body := ask(t, http.MethodPost, uri); status != http.StatusOK {
			t.Fatalf("%s: %d %s", uri, status, body)
		}
	}
	for _, g := range []*Group{older, newer} {
		if s := g.started().Stat(); s.Admin != upstream.Paused || s.Backends[0].Admin != upstream.Enabled {
			t.Errorf("%+v", s)
		}
	}
	if got := newer.started().Stat().Backends[1].Admin; got != upstream.Disabled {
		t.Errorf("the backend that only the newer has is %s", got)
	}
}
