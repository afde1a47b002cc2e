package cli

import (
	"fmt"
	"strconv"
	"strings"
)

// number is a flag's value: decimal or, with 0x before it, hexadecimal, and within bounds. It is a
// pflag.Value.
type number[T int | uint8] struct {
	to       *T // holds the default until Set
	min, max uint64
	hex      bool // how the default is shown in the help
}

// Set reads the number that was given.
func (n number[T]) Set(s string) error {
	v, err := parseNumber(s)
	if err != nil || v < n.min || v > n.max {
		return fmt.Errorf("want a number from %d to %d, such as %d or 0x%X", n.min, n.max, *n.to, *n.to)
	}
	*n.to = T(v)
	return nil
}

// String is the number as the help shows it.
func (n number[T]) String() string {
	switch {
	case n.to == nil: // pflag asks a zero value, too
		return "0"
	case n.hex:
		return fmt.Sprintf("0x%02X", *n.to)
	}
	return fmt.Sprint(*n.to)
}

// Type is what the help calls the value.
func (n number[T]) Type() string { return "number" }

// parseNumber reads "16" and "0x10". It leaves out what strconv's base 0 would let in: octal by a
// leading zero, binary, underscores.
func parseNumber(s string) (uint64, error) {
	base := 10
	if digits, ok := strings.CutPrefix(strings.ToLower(s), "0x"); ok {
		s, base = digits, 16
	}
	return strconv.ParseUint(s, base, 64)
}
