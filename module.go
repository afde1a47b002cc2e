// Package gopr is the root of caddy-gopr.
package gopr

import (
	_ "github.com/caddyserver/caddy/v2"
	_ "github.com/mholt/caddy-l4"
	_ "go.uber.org/zap"
)
