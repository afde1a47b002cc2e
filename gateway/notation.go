package gateway

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// parseHex takes bytes as 0x4D43 or 4D43.
func parseHex(s string) ([]byte, error) {
	digits := strings.TrimPrefix(strings.TrimPrefix(s, "0x"), "0X")
	b, err := hex.DecodeString(digits)
	if err != nil {
		return nil, fmt.Errorf("%q is no bytes in hex: write two digits for each, as in 0x4D43", s)
	}
	return b, nil
}

func parseNumber(s string) (uint32, error) {
	v, err := strconv.ParseUint(s, 0, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is no number such as 16 or 0x10", s)
	}
	return uint32(v), nil
}

// parseBits takes value or value/mask; "": any value.
func parseBits(s string) (*wire.Bits, error) {
	if s == "" {
		return nil, nil
	}
	value, mask, masked := strings.Cut(s, "/")
	v, err := parseNumber(value)
	if err != nil {
		return nil, err
	}
	b := wire.Is(v)
	if masked {
		if b.Mask, err = parseNumber(mask); err != nil {
			return nil, err
		}
		if b.Mask == 0 || v&^b.Mask != 0 {
			return nil, fmt.Errorf("%q can never be: the value has bits that the mask leaves out, or the mask is 0", s)
		}
	}
	return b, nil
}

// parseCommands takes what parseBits takes, or several commands and ranges of them.
func parseCommands(s string) (*wire.Bits, *wire.CommandSet, error) {
	words := strings.Fields(s)
	if len(words) == 0 || len(words) == 1 && !strings.Contains(s, "-") {
		b, err := parseBits(strings.TrimSpace(s))
		return b, nil, err
	}
	set := wire.NewCommandSet()
	for _, w := range words {
		r, err := wire.ParseCommandRange(w)
		if err != nil {
			return nil, nil, err
		}
		set.Add(r)
	}
	return nil, set, nil
}

// parseRanges takes ranges such as 0-9, and the word payload.
func parseRanges(words []string) (ranges []wire.Range, payload bool, err error) {
	for _, w := range words {
		if w == "payload" {
			payload = true
			continue
		}
		from, to, ok := strings.Cut(w, "-")
		f, err1 := strconv.Atoi(from)
		t, err2 := strconv.Atoi(to)
		if !ok || err1 != nil || err2 != nil || f >= t {
			return nil, false, fmt.Errorf("%q is no range of bytes: write 4-8 for the bytes 4 to 7, or payload", w)
		}
		ranges = append(ranges, wire.Range{From: f, To: t})
	}
	return ranges, payload, nil
}
