package cli

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

// adminArgs say where the admin endpoint is, as those of Caddy's own commands do.
type adminArgs struct {
	address string // "": as in config
	config  string // a configuration of Caddy's; "": Caddy's default address
	adapter string // of config
}

// find returns the admin API. It dials nobody.
func (a adminArgs) find() (*admin, error) {
	address, err := caddycmd.DetermineAdminAPIAddress(a.address, nil, a.config, a.adapter)
	if err != nil {
		return nil, err
	}
	at, err := caddy.ParseNetworkAddress(address)
	if err != nil || at.PortRangeSize() > 1 {
		return nil, fmt.Errorf("--address %s: want one such as localhost:2019 or unix//run/caddy.sock", address)
	}
	base := "http://" + at.JoinHostPort(0)
	if at.IsUnixNetwork() {
		at.Host, _, _ = strings.Cut(at.Host, "|") // the file's permissions
		base = "http://127.0.0.1"                 // a socket has no host, and HTTP needs one
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, at.Network, at.JoinHostPort(0))
	}
	return &admin{base, &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}, nil
}
