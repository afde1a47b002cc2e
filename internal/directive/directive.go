// Package directive is what the Caddyfile parsers of this module share: options with arguments, blocks of options, and errors that say what would be right.
package directive

import (
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Parse reads one option; the dispenser stands on its name.
type Parse func(d *caddyfile.Dispenser) error

// Options are the options of a block, by name.
type Options map[string]Parse

// Block reads the block of options that may follow on d. Each option may be given once, but for those named as many.
func Block(d *caddyfile.Dispenser, name string, options Options, many ...string) error {
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		parse, ok := options[option]
		if !ok {
			return d.Errf("%s has no option %q; it has %s", name, option, strings.Join(slices.Sorted(maps.Keys(options)), ", "))
		}
		if seen[option] && !slices.Contains(many, option) {
			return d.Errf("%s %s is given twice: once is enough", name, option)
		}
		seen[option] = true
		if err := parse(d); err != nil {
			return err
		}
	}
	return nil
}

// Nested is an option that has no arguments, only a block. Each option in it may be given once, but for those named as many.
func Nested(name string, options Options, many ...string) Parse {
	return func(d *caddyfile.Dispenser) error {
		if d.NextArg() {
			return d.Errf("%s takes a block, not %q: write `%s { … }`", name, d.Val(), name)
		}
		return Block(d, name, options, many...)
	}
}

// Args is an option with arguments, of which the first need must be there. The example shows how it is written.
func Args(example string, need int, args ...Arg) Parse {
	return func(d *caddyfile.Dispenser) error {
		name, given := d.Val(), d.RemainingArgs()
		if len(given) < need || len(given) > len(args) {
			return d.Errf("%s has %d arguments: write it as `%s %s`", name, len(given), name, example)
		}
		for i, s := range given {
			if err := args[i](s); err != nil {
				return d.Errf("%s: %v: write it as `%s %s`", name, err, name, example)
			}
		}
		if d.NextBlock(d.Nesting()) {
			return d.Errf("%s takes no block: write it as `%s %s`", name, name, example)
		}
		return nil
	}
}

// One is an option with one argument.
func One(example string, arg Arg) Parse { return Args(example, 1, arg) }

// List is an option with one argument or more.
func List(example string, add Arg) Parse {
	return func(d *caddyfile.Dispenser) error {
		args := slices.Repeat([]Arg{add}, max(1, d.CountRemainingArgs()))
		return Args(example, 1, args...)(d)
	}
}

// Off is an option that may be `off` instead.
func Off(set *bool, parse Parse) Parse {
	return func(d *caddyfile.Dispenser) error {
		if d.CountRemainingArgs() == 1 && d.NextArg() {
			if d.Val() == "off" {
				*set = true
				if d.NextBlock(d.Nesting()) {
					return d.Errf("`off` takes no block")
				}
				return nil
			}
			d.Prev()
		}
		return parse(d)
	}
}

// At adds the place of the directive that d is about to a mistake that shows only when all of it is read.
func At(d *caddyfile.Dispenser, err error) error {
	if err == nil {
		return nil
	}
	d.Reset()
	d.Next()
	return d.WrapErr(err)
}
