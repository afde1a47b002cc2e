package handler

import (
	"time"

	"github.com/mholt/caddy-l4/layer4"

	"github.com/caddy-gopr/caddy-gopr/gateway"
)

// enter lets a connection in, or refuses it: it returns nil then. To refuse costs a count, a look-up, and a reset, which leaves nothing of the connection in the
// kernel either.
func enter(cx *layer4.Connection, name string, rules *gateway.Rules) *gateway.Pass {
	live := gateway.AcquireLive(name)
	defer gateway.ReleaseLive(live)
	pass, refused := live.Enter(rules, cx.RemoteAddr(), time.Now())
	if pass != nil {
		if clientOf(cx).TLS != nil {
			pass.Encrypted()
		}
		return pass
	}
	logging{live}.ended(cx.RemoteAddr(), ending{reason: refused}, gateway.Info{})
	if tcp := bottom(cx); tcp != nil {
		_ = tcp.SetLinger(0)
	}
	return nil
}
