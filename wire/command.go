package wire

import (
	"fmt"
	"strconv"
	"strings"
)

// CommandRange is the commands from First to Last, both included.
type CommandRange struct {
	First, Last uint32
}

// ParseCommandRange reads one command, decimal or hexadecimal ("16", "0x10"),
// or a range of them ("0x10-0xFF").
func ParseCommandRange(s string) (CommandRange, error) {
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	lo, errLo := parseCommand(first)
	hi, errHi := parseCommand(last)
	if errLo != nil || errHi != nil {
		return CommandRange{}, fmt.Errorf("command %q: want a number such as 16 or 0x10, or a range such as 0x10-0xFF", s)
	}
	if lo > hi {
		return CommandRange{}, fmt.Errorf("command range %q runs backwards: want %s-%s", s, last, first)
	}
	return CommandRange{First: lo, Last: hi}, nil
}

// parseCommand reads "16" and "0x10". It leaves out what strconv's base 0 would
// let in: octal by a leading zero, binary, underscores.
func parseCommand(s string) (uint32, error) {
	base := 10
	if digits, ok := strings.CutPrefix(strings.ToLower(s), "0x"); ok {
		s, base = digits, 16
	}
	v, err := strconv.ParseUint(s, base, 32)
	return uint32(v), err
}

// String is the form that [ParseCommandRange] reads: "0x01" or "0x10-0xFF".
func (r CommandRange) String() string {
	if r.First == r.Last {
		return fmt.Sprintf("0x%02X", r.First)
	}
	return fmt.Sprintf("0x%02X-0x%02X", r.First, r.Last)
}
