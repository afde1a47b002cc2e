package gateway

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// ErrUnknownFormat says that no format has the name. Where only the built-in ones are known, it may be one that the configuration declares.
var ErrUnknownFormat = errors.New("unknown format")

// Format finds a format by the name that the configuration has for it; "" is gopr. A nil App has the built-in ones.
func (a *App) Format(name string) (*wire.Format, error) {
	if name == "" {
		return wire.GOPR, nil
	}
	if a != nil {
		if f, ok := a.formats[name]; ok {
			return f, nil
		}
	}
	if f, ok := wire.Lookup(name); ok {
		return f, nil
	}
	var names []string
	for _, f := range wire.BuiltIn() {
		names = append(names, f.Name())
	}
	return nil, fmt.Errorf("%w %q: one of %s, or one that the global option gopr declares", ErrUnknownFormat, name, strings.Join(names, ", "))
}
