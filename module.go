// Package gopr makes Caddy a gateway for long-lived binary protocols. Importing it registers
//
//	layer4.matchers.gopr   is this our protocol?
//	layer4.handlers.gopr   end the protocol here and carry its frames to backends
//	gopr                   the app: what handlers share
//	gopr.authenticators.*  who may say HELLO
//	caddy gopr …           the command line
//
// beside caddy-l4's own modules. Build it into Caddy with xcaddy; README.md shows how.
package gopr

import (
	_ "github.com/mholt/caddy-l4" // layer4, tls, proxy_protocol and the rest

	_ "github.com/caddy-gopr/caddy-gopr/authenticate"
	_ "github.com/caddy-gopr/caddy-gopr/cli"
	_ "github.com/caddy-gopr/caddy-gopr/gateway"
	_ "github.com/caddy-gopr/caddy-gopr/handler"
	_ "github.com/caddy-gopr/caddy-gopr/matcher"
)
