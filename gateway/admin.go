package gateway

import "github.com/caddyserver/caddy/v2"

func init() {
	caddy.RegisterModule(new(Admin))
}

// Admin is what the module has on Caddy's admin endpoint: its metrics, under /metrics. Caddy serves them from the registry of the configuration that was loaded
// last, also of one that was then rejected; so the collectors are registered here, too, where Caddy begins with each.
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

// Routes returns no routes of its own.
func (*Admin) Routes() []caddy.AdminRoute { return nil }

// Interface guards.
var (
	_ caddy.Provisioner = (*Admin)(nil)
	_ caddy.AdminRouter = (*Admin)(nil)
)
