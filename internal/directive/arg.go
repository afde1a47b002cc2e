package directive

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/dustin/go-humanize"
)

// Arg stores one argument, or says what is wrong with it.
type Arg func(s string) error

// String takes any word.
func String(to *string) Arg {
	return func(s string) error {
		*to = s
		return nil
	}
}

// Append adds a word to a list.
func Append(to *[]string) Arg {
	return func(s string) error {
		*to = append(*to, s)
		return nil
	}
}

// Duration takes a time as everywhere in Caddy: 10s, 1h30m, 2d. No option has use for a negative one.
func Duration(to *caddy.Duration) Arg {
	return func(s string) error {
		v, err := caddy.ParseDuration(s)
		if err != nil {
			return fmt.Errorf("%q is no duration", s)
		}
		if v < 0 {
			return fmt.Errorf("%q is negative", s)
		}
		*to = caddy.Duration(v)
		return nil
	}
}

// OptionalDuration is Duration for a setting where 0 is something else than not set.
func OptionalDuration(to **caddy.Duration) Arg {
	return func(s string) error {
		*to = new(caddy.Duration)
		return Duration(*to)(s)
	}
}

// Size takes a number of bytes: 65535, 16KiB, 1MB.
func Size(to *int) Arg {
	return func(s string) error {
		v, err := humanize.ParseBytes(s)
		if err != nil || v > math.MaxInt {
			return fmt.Errorf("%q is no size", s)
		}
		*to = int(v)
		return nil
	}
}

// Int takes a whole number, 0 or above.
func Int(to *int) Arg {
	return func(s string) error {
		v, err := strconv.Atoi(s)
		if err != nil {
			return fmt.Errorf("%q is no whole number", s)
		}
		if v < 0 {
			return fmt.Errorf("%q is negative", s)
		}
		*to = v
		return nil
	}
}

// OptionalInt is Int for a setting where 0 is something else than not set.
func OptionalInt(to **int) Arg {
	return func(s string) error {
		*to = new(int)
		return Int(*to)(s)
	}
}

// Uint32 takes a number as protocols write them: 16 or 0x10.
func Uint32(to *uint32) Arg {
	return func(s string) error {
		digits, base := s, 10
		if hex, ok := strings.CutPrefix(strings.ToLower(s), "0x"); ok {
			digits, base = hex, 16
		}
		v, err := strconv.ParseUint(digits, base, 32)
		if err != nil {
			return fmt.Errorf("%q is no number such as 16 or 0x10", s)
		}
		*to = uint32(v)
		return nil
	}
}

// AppendUint32 adds such a number to a list.
func AppendUint32(to *[]uint32) Arg {
	return func(s string) error {
		var v uint32
		if err := Uint32(&v)(s); err != nil {
			return err
		}
		*to = append(*to, v)
		return nil
	}
}

// Float takes a number with a fraction, 0 or above.
func Float(to *float64) Arg {
	return func(s string) error {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%q is no number", s)
		}
		if v < 0 {
			return fmt.Errorf("%q is negative", s)
		}
		*to = v
		return nil
	}
}

// OptionalFloat is Float for a setting where 0 is something else than not set.
func OptionalFloat(to **float64) Arg {
	return func(s string) error {
		*to = new(float64)
		return Float(*to)(s)
	}
}
