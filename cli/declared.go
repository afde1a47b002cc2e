package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// formatArgs say what the frames look like.
type formatArgs struct {
	format  string // its name; "": gopr
	config  string // the file of Caddy's configuration that declares it; "": it is built in
	adapter string // of config; "": as `caddy run` would choose
}

// find returns the format.
func (a formatArgs) find() (*wire.Format, error) {
	if f, ok := wire.Lookup(a.name()); ok {
		return f, nil
	}
	if a.config == "" {
		return nil, fmt.Errorf("--format %s: want %s, or, with --config FILE, one that a configuration declares", a.format, strings.Join(builtIn(), ", "))
	}
	declared, err := declarations(a.config, a.adapter)
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	raw, ok := declared[a.name()]
	if !ok {
		names := append(builtIn(), slices.Sorted(maps.Keys(declared))...)
		return nil, fmt.Errorf("--format %s: %s declares no such format: want %s", a.format, a.config, strings.Join(names, ", "))
	}
	var f gateway.Format
	strict := json.NewDecoder(bytes.NewReader(raw))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&f); err != nil {
		return nil, fmt.Errorf("--config: format %q in %s: %w", a.format, a.config, err)
	}
	return f.Compile(a.name())
}

func (a formatArgs) name() string {
	if a.format == "" {
		return wire.GOPR.Name()
	}
	return a.format
}

// builtIn are the names of the built-in formats.
func builtIn() (names []string) {
	for _, f := range wire.BuiltIn() {
		names = append(names, f.Name())
	}
	return names
}

// declarations returns the formats that a configuration declares, each as JSON.
func declarations(file, adapter string) (map[string]json.RawMessage, error) {
	raw, _, _, err := caddycmd.LoadConfig(file, adapter)
	if err != nil {
		return nil, err
	}
	var cfg struct {
		Apps struct {
			GOPR struct {
				Formats map[string]json.RawMessage `json:"formats"`
			} `json:"gopr"`
		} `json:"apps"`
	}
	err = json.Unmarshal(raw, &cfg)
	return cfg.Apps.GOPR.Formats, err
}
