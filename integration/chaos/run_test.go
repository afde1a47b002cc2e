package main

import (
	"os"
	"testing"
)

// TestShort plays each scenario for a few seconds, through the Caddy that GOPR_CADDY names, as `./xcaddy.sh test` does. Whole, they are `./xcaddy.sh chaos`.
func TestShort(t *testing.T) {
	caddy := os.Getenv("GOPR_CADDY")
	if caddy == "" {
		t.Skip("GOPR_CADDY names no Caddy")
	}
	for _, s := range scenarios {
		if s.long {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			o := options{caddy: caddy, short: true, seed: 1}
			out := o.play(t.Context(), s)
			out.print(t.Output())
			if !out.ok() {
				t.Fail()
			}
		})
	}
}
