package gateway

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

func init() {
	caddy.RegisterModule(new(Admin))
}

// Admin is what the module has on Caddy's admin endpoint: its metrics, under /metrics, and the admin API, under /gopr/. Caddy serves the metrics from the registry
// of the configuration that was loaded last, also of one that was then rejected; so the collectors are registered here, too, where Caddy begins with each. The admin
// API knows nothing of a configuration: it shows what the process holds, before, in and after a reload.
type Admin struct{}

// CaddyModule returns the Caddy module information.
func (*Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.gopr", New: func() caddy.Module { return new(Admin) }}
}

// Provision registers the collectors.
func (*Admin) Provision(ctx caddy.Context) error {
	register(ctx.GetMetricsRegistry())
	return nil
}

// endpoint is a path of the admin API. The path is a pattern of http.ServeMux, without a method.
type endpoint struct {
	path    string
	methods map[string]handle
}

// handle answers one request. An error is answered as Caddy answers its own; see fault.
type handle func(http.ResponseWriter, *http.Request) error

// endpoints are the whole admin API.
func endpoints() []endpoint {
	return slices.Concat(
		handlerEndpoints,
		upstreamEndpoints,
		connectionEndpoints,
		closedEndpoints,
		drainEndpoints,
		sessionEndpoints,
		messageEndpoints,
	)
}

// Routes returns the routes of the admin API.
func (*Admin) Routes() []caddy.AdminRoute {
	var all []caddy.AdminRoute
	for _, e := range endpoints() {
		all = append(all, caddy.AdminRoute{Pattern: e.path, Handler: caddy.AdminHandlerFunc(e.serve)})
	}
	return all
}

// serve finds the method. Patterns with a method would do the same, but not answer as Caddy does where there is none.
func (e endpoint) serve(w http.ResponseWriter, r *http.Request) error {
	if do, ok := e.methods[r.Method]; ok {
		return do(w, r)
	}
	allow := strings.Join(slices.Sorted(maps.Keys(e.methods)), ", ")
	w.Header().Set("Allow", allow)
	return fault(http.StatusMethodNotAllowed, "method %s is not allowed here: use %s", r.Method, allow)
}

// fault is an error that is answered with a status, in Caddy's own form: {"error": "…"}.
func fault(status int, format string, args ...any) error {
	return caddy.APIError{HTTPStatus: status, Err: fmt.Errorf(format, args...)} // a value: Caddy knows no other
}

// answer writes v as JSON.
func answer(w http.ResponseWriter, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(append(b, '\n')); err != nil {
		return nil // whoever asked has gone
	}
	return nil
}

// Interface guards.
var (
	_ caddy.Provisioner = (*Admin)(nil)
	_ caddy.AdminRouter = (*Admin)(nil)
)
