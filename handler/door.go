package handler

import (
	"time"

	"github.com/mholt/caddy-l4/layer4"

	"github.com/caddy-gopr/caddy-gopr/gateway"
)

// enter lets a connection in, or refuses it: it returns nil then. To refuse costs a count, a look-up, and a reset, which leaves nothing of the connection in the
// kernel either.
func enter(cx *layer4.Connection, name string, rules *gateway.Rules) *gateway.Pass {
	if e, ok := cx.GetVar(entranceVar).(*entrance); ok {
		pass := e.claim()
		if pass == nil {
			return nil
		}
		if pass.Live.Name == name {
			return weighed(cx, pass)
		}
		pass.Cancel() // the guard is another handler's
	}
	live := gateway.AcquireLive(name)
	defer gateway.ReleaseLive(live)
	pass, refused := live.Enter(rules, cx.RemoteAddr(), time.Now())
	if pass != nil {
		return weighed(cx, pass)
	}
	logging{live}.ended(cx.RemoteAddr(), ending{reason: refused}, gateway.Info{})
	reset(cx)
	return nil
}

// weighed counts what TLS takes.
func weighed(cx *layer4.Connection, pass *gateway.Pass) *gateway.Pass {
	if clientOf(cx).TLS != nil {
		pass.Encrypted()
	}
	return pass
}
