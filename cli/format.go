package cli

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// How much of a payload one line shows, in bytes.
const (
	shownText = 64
	shownHex  = 32
)

// appendFrame appends what decode and echo print of a frame of GOPR, without a newline.
func appendFrame(dst []byte, f *wire.Frame) []byte { return goprText.append(dst, f) }

// heartbeatName names the two frames that every peer knows; other commands are the application's.
func heartbeatName(f *wire.Frame) string { return goprText.heartbeat(f) }

// appendPayload appends a payload for a reader's eye: quoted text where it is printable, else hex, and no
// more than fits a line.
func appendPayload(dst, payload []byte) []byte {
	if printable(payload) {
		shown := payload
		if len(shown) > shownText {
			shown = shown[:shownText]
			for !utf8.Valid(shown) { // the cut went through a character
				shown = shown[:len(shown)-1]
			}
		}
		dst = strconv.AppendQuote(dst, string(shown))
		return appendCut(dst, len(shown), len(payload))
	}
	shown := payload[:min(len(payload), shownHex)]
	dst = hex.AppendEncode(dst, shown)
	return appendCut(dst, len(shown), len(payload))
}

func appendCut(dst []byte, shown, all int) []byte {
	if shown < all {
		dst = append(dst, "..."...)
	}
	return dst
}

// printable says whether a payload is text that a terminal can show: UTF-8 of printable characters,
// spaces, tabs and line ends. An empty payload is.
func printable(payload []byte) bool {
	if !utf8.Valid(payload) {
		return false
	}
	for _, r := range string(payload) {
		if !unicode.IsPrint(r) && r != '\t' && r != '\n' && r != '\r' {
			return false
		}
	}
	return true
}

// parseHex reads a payload or a stream given as hexadecimal digits. White space and colons between
// bytes are for the eye, and so is a 0x at the beginning.
func parseHex(s string) ([]byte, error) {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == ':' || unicode.IsSpace(r) }), "")
	s = strings.TrimPrefix(strings.TrimPrefix(s, "0x"), "0X")
	b, err := hex.DecodeString(s)
	switch err := err.(type) {
	case nil:
		return b, nil
	case hex.InvalidByteError:
		return nil, fmt.Errorf("hex: %q is no hexadecimal digit: want pairs of 0-9 and a-f, such as 68656c6c6f", rune(err))
	}
	return nil, fmt.Errorf("hex: %d digits make no whole bytes: want two for each byte, such as 0a and not a", len(s))
}

// ms is a time as ping prints it, in milliseconds.
func ms(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 3, 64)
}

// plural is a number and its noun: "1 frame", "2 frames".
func plural[N int | int64 | uint64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprint(n) + " " + noun + "s"
}
