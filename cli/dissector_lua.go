package cli

import (
	"fmt"
	"strings"
)

// luaString is bytes as a string of Lua.
func luaString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < 0x20 || c > 0x7E:
			fmt.Fprintf(&b, `\%03d`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// luaInt is an unsigned integer of a frame, as Lua reads it out of a tvb.
type luaInt struct {
	base   string // from where at counts; "": the frame's start, `at` in Lua
	at     int    // bytes
	size   int    // bytes, 1 to 4; 8 can be shown, but is no number that Lua can hold
	little bool
	mask   uint32 // 0: all
	shift  int
	to     string // a variable that takes the number as well; "": none
}

// masked reports whether the number is less than the whole integer.
func (n luaInt) masked() bool { return n.mask != 0 || n.shift != 0 }

// from has the offset count from another place.
func (n luaInt) from(base string) luaInt {
	n.base = base
	return n
}

// bytes are the bytes of the integer, a TvbRange.
func (n luaInt) bytes() string {
	base := n.base
	if base == "" {
		base = "at"
	}
	return fmt.Sprintf("tvb(%s + %d, %d)", base, n.at, n.size)
}

// load is the whole integer.
func (n luaInt) load() string {
	if n.little {
		return n.bytes() + ":le_uint()"
	}
	return n.bytes() + ":uint()"
}

// value is the number.
func (n luaInt) value() string {
	v := n.load()
	if n.mask != 0 {
		v = fmt.Sprintf("band(%s, 0x%X)", v, n.mask)
	}
	if n.shift != 0 {
		v = fmt.Sprintf("math.floor(%s / %d)", v, uint64(1)<<n.shift)
	}
	return v
}

// show adds the number to the tree.
func (n luaInt) show(field string) string {
	add := "node:add"
	if n.little {
		add = "node:add_le"
	}
	switch {
	case n.to == "":
		return fmt.Sprintf("%s(%s, %s)", add, field, n.bytes())
	case n.masked():
		return fmt.Sprintf("node:add(%s, %s, %s)", field, n.bytes(), n.to)
	}
	return fmt.Sprintf("%s(%s, %s)", add, field, n.bytes())
}
