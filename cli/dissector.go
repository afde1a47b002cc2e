package cli

import (
	"context"
	"fmt"
	"regexp"
	"strings"
)

// dissectorArgs are the arguments of dissector.
type dissectorArgs struct {
	formatArgs
	proto string // what Wireshark calls the protocol, and filters begin with; "": the format's name
	port  int    // TCP; 0: by the magic alone, or what the user says
}

// dissector prints a dissector for Wireshark, in Lua, of a format.
func dissector(_ context.Context, a dissectorArgs, std stdio) (int, error) {
	f, err := a.find()
	if err != nil {
		return exitUsage, err
	}
	if a.proto == "" {
		a.proto = protoOf(f.Name())
	}
	if !protoName.MatchString(a.proto) {
		return exitUsage, fmt.Errorf("--proto %s: want a name such as wireshark's filters begin with: small letters, digits and _, a letter first", a.proto)
	}
	if err := dissectorTemplate.Execute(std.out, newDissectorView(f, a.proto, a.port)); err != nil {
		return exitUsage, fmt.Errorf("writing the output: %w", err)
	}
	return exitOK, nil
}

// protoName is what Wireshark takes as the name of a protocol.
var protoName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// protoOf makes a name that Wireshark takes of one that Caddy takes.
func protoOf(format string) string {
	name := strings.Map(func(r rune) rune {
		if r < 0x80 && protoName.MatchString("p"+string(r)) {
			return r
		}
		return '_'
	}, strings.ToLower(format))
	if !protoName.MatchString(name) {
		name = "p" + name
	}
	return name
}
