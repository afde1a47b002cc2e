package redis

import "strings"

// Key returns a key of this Redis. All keys with one slot are on one node of a cluster. slot and rest may hold any bytes; kind must not.
func (r *Redis) Key(kind, slot, rest string) string {
	return r.prefix + kind + ":{" + escape(slot) + "}" + rest
}

// Prefix is what all keys begin with, and all channels.
func (r *Redis) Prefix() string { return r.prefix }

// Pattern returns what all keys of a kind match whose rest is empty, and others' too; Slot tells them apart.
func (r *Redis) Pattern(kind string) string { return escapeGlob(r.prefix+kind) + ":{*}*" }

// Slot returns the slot and the rest of a key of a kind; ok is false if it is none.
func (r *Redis) Slot(kind, key string) (slot, rest string, ok bool) {
	key, ok = strings.CutPrefix(key, r.prefix+kind+":{")
	if !ok {
		return "", "", false
	}
	slot, rest, ok = strings.Cut(key, "}")
	return unescape(slot), rest, ok
}

// escape keeps what redis-cli shows as it is, but for the braces that tell a cluster what to hash.
func escape(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7F || strings.IndexByte(`{}%"'\`, c) >= 0 {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			b.WriteByte(nibble(s[i+1])<<4 | nibble(s[i+2]))
			i += 2
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func nibble(c byte) byte {
	if c >= 'A' {
		return c - 'A' + 10
	}
	return c - '0'
}

func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`).Replace(s)
}
