// Command caddy is the Caddy that the end-to-end tests start when they are not told of another. It has the modules that the tests and
// Caddyfile.example use, not all that a build by xcaddy has, and beside them layer4.handlers.hold and
// events.handlers.witness, which are no part of the product.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/caddypki"
	_ "github.com/caddyserver/caddy/v2/modules/caddytls"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"
	_ "github.com/caddyserver/caddy/v2/modules/metrics"

	_ "github.com/caddy-gopr/caddy-gopr"
)

func main() { caddycmd.Main() }
