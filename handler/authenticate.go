package handler

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-gopr/caddy-gopr/gateway"
)

// authenticators are the names of the modules that there are.
func authenticators() (names []string) {
	for _, m := range caddy.GetModules(gateway.Authenticators) {
		names = append(names, m.ID.Name())
	}
	return names
}

func (h *Handler) loadAuthenticators(ctx caddy.Context) error {
	if h.Sessions == nil || len(h.Sessions.AuthenticateRaw) == 0 {
		return nil
	}
	mods, err := ctx.LoadModule(h.Sessions, "AuthenticateRaw")
	if err != nil {
		return fmt.Errorf("gopr handler %q: sessions authenticate: %w", orDefault(h.Name, defaultName), err)
	}
	for _, m := range mods.([]any) {
		a, ok := m.(gateway.Authenticator)
		if !ok {
			return fmt.Errorf("gopr handler %q: sessions authenticate: %T is no authenticator", orDefault(h.Name, defaultName), m)
		}
		h.authenticators = append(h.authenticators, a)
	}
	return nil
}
