package cli

import (
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// filters are the flags that choose connections. Each is a parameter of the admin API, which judges its value.
var filters = []struct{ flag, what string }{
	{"handler", "of this handler"},
	{"remote", "from this address, network, or address and port: 10.1.2.3, 10.1.0.0/16, 10.1.2.3:51234"},
	{"upstream", "with this upstream group, or served by this backend"},
	{"tls-subject", "whose certificate's subject has this in it"},
	{"client", "of the client that has said HELLO with this id"},
	{"older-than", "that are older than this, such as 90s, 10m or 2d"},
	{"younger-than", "that are younger"},
	{"idle-for", "without an application frame for so long"},
	{"state", "in this state: active, idle, waiting, paused, leaving, draining, closing"},
	{"min-pending", "with at least so many unsent bytes, such as 64KiB"},
}

// filterFlags gives a command the flags of filters, and those that are its own. What it returns reads those that were set.
func filterFlags(cmd *cobra.Command, own ...struct{ flag, what string }) (read func() url.Values) {
	all := append(own, filters...)
	for _, f := range all {
		cmd.Flags().String(f.flag, "", "connections "+f.what)
	}
	return func() url.Values {
		set := url.Values{}
		for _, f := range all {
			if flag := cmd.Flags().Lookup(f.flag); flag.Changed {
				set.Set(strings.ReplaceAll(f.flag, "-", "_"), flag.Value.String())
			}
		}
		return set
	}
}
