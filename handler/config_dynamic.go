package handler

import (
	"fmt"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-gopr/caddy-gopr/internal/directive"
	"github.com/caddy-gopr/caddy-gopr/upstream"
)

// Dynamic finds backends by DNS, again and again, beside those that are configured.
type Dynamic struct {
	// The kind of records: `a`, the addresses of a name (A and AAAA), or `srv`, names and ports with priorities and weights.
	Records string `json:"records"`
	// What is looked up, as it is; for `srv` such as `_gopr._tcp.example.com`.
	Name string `json:"name"`
	// The backends' port, for `a`.
	Port int `json:"port,omitempty"`
	// The time between lookups, give or take a tenth. Default: 30s.
	Refresh caddy.Duration `json:"refresh,omitempty"`
	// The DNS servers to ask, each `host:port`; names of backends are resolved by them, too. Default: the system's.
	Resolvers []string `json:"resolvers,omitempty"`
	// Bounds each lookup. Default: 5s.
	DialTimeout caddy.Duration `json:"dial_timeout,omitempty"`
	// For `a`: the versions of IP whose addresses are used, `ipv4` and `ipv6`. Default: both.
	Versions []string `json:"versions,omitempty"`
	// Use backends on the gateway's own loopback, which otherwise are ignored.
	AllowLoopback bool `json:"allow_loopback,omitempty"`
}

const dynamicExample = "dynamic a backend.example.com 9000` or `dynamic srv _gopr._tcp.example.com"

// unmarshalDynamic reads where backends are looked up. Syntax:
//
//	dynamic a <name> <port> | srv <name> {
//		refresh        <duration>
//		resolvers      <host:port...>
//		dial_timeout   <duration>
//		versions       ipv4|ipv6...
//		allow_loopback
//	}
func (u *Upstream) unmarshalDynamic(d *caddyfile.Dispenser) error {
	dyn := new(Dynamic)
	u.Dynamic = dyn
	args := d.RemainingArgs()
	want := map[string]int{string(upstream.RecordsA): 3, string(upstream.RecordsSRV): 2}
	if len(args) == 0 || want[args[0]] != len(args) {
		return d.Errf("dynamic takes the kind of records, the name, and for `a` the port: write it as `%s`", dynamicExample)
	}
	dyn.Records, dyn.Name = args[0], args[1]
	if len(args) == 3 {
		port, err := strconv.ParseUint(args[2], 10, 16)
		if err != nil || port == 0 {
			return d.Errf("dynamic: %q is no port: write it as `%s`", args[2], dynamicExample)
		}
		dyn.Port = int(port)
	}
	return directive.Block(d, "dynamic", directive.Options{
		"refresh":        directive.One("30s", directive.Duration(&dyn.Refresh)),
		"resolvers":      directive.List("10.0.0.53:53", directive.Append(&dyn.Resolvers)),
		"dial_timeout":   directive.One("5s", directive.Duration(&dyn.DialTimeout)),
		"versions":       directive.List("ipv4", directive.Append(&dyn.Versions)),
		"allow_loopback": directive.Flag(&dyn.AllowLoopback),
	})
}

func (dyn *Dynamic) compile() (*upstream.Discovery, error) {
	if dyn == nil {
		return nil, nil
	}
	d := &upstream.Discovery{
		Records: upstream.Records(dyn.Records), Name: dyn.Name, Port: dyn.Port, Refresh: time.Duration(dyn.Refresh),
		Resolvers: dyn.Resolvers, DialTimeout: time.Duration(dyn.DialTimeout), Versions: dyn.Versions, AllowLoopback: dyn.AllowLoopback,
	}
	if err := d.Validate(); err != nil {
		return nil, fmt.Errorf("dynamic: %w", err)
	}
	return d, nil
}
