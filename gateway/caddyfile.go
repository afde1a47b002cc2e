package gateway

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-gopr/caddy-gopr/internal/directive"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("gopr", parseGlobal)
}

// parseGlobal reads the global option gopr, which may be given several times.
func parseGlobal(d *caddyfile.Dispenser, existing any) (any, error) {
	app := new(App)
	if old, ok := existing.(httpcaddyfile.App); ok {
		if err := json.Unmarshal(old.Value, app); err != nil {
			return nil, err
		}
	}
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "gopr", Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile sets up the app from Caddyfile tokens. Syntax:
//
//	gopr {
//		memory <size>
//		grace <duration>
//		drain <duration>
//		sessions {
//			store memory | sqlite <path> | redis <url>
//		}
//		queue {
//			store memory | sqlite <path> | redis <url>
//		}
//		format <name> {
//			byte_order   big|little
//			header       <bytes>
//			magic        <hex> [<hex of answers>]
//			magic_offset <offset>
//			version      <offset> <size> [<mask> [<shift>]]
//			versions     <version...>
//			cmd          <offset> <size> [<mask> [<shift>]]
//			flag         <offset> <size> [<mask> [<shift>]]
//			length       <offset> <size>
//			length_adjustment      <bytes>
//			initial_bytes_to_strip <bytes>
//			max_frame_length       <size>
//			fail_fast    true|false
//			checksum     <algorithm> <offset>|trailer {
//				covers <from>-<to>... [payload]
//			}
//			trailer      <hex>
//			heartbeat    <match> {
//				reply <hex> | [cmd <value>] [flag <value>]
//				echo  [payload] [<from>-<to>...]
//			}
//			asks         <match>
//			answers      <match>
//			id           <offset> <size>
//		}
//	}
//
// where a match is one or more of: any, from client|server, version <value>[/<mask>], cmd <value>[/<mask>] or cmd <first>-<last>, flag <value>[/<mask>], payload <hex>.
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the option's own name
	if d.NextArg() {
		return d.Errf("gopr takes a block, not %q: write `gopr { … }`", d.Val())
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if is, err := a.option(d); err != nil {
			return err
		} else if is {
			continue
		}
		if d.Val() != "format" {
			return d.Errf("gopr has no option %q; it has drain, format, grace, memory, queue, sessions", d.Val())
		}
		args := d.RemainingArgs()
		if len(args) != 1 {
			return d.Errf("format has %d arguments: write it as `format meter { … }`", len(args))
		}
		if _, twice := a.Formats[args[0]]; twice {
			return d.Errf("format %s is declared twice: once is enough", args[0])
		}
		f := new(Format)
		line := d.Token()
		if err := f.unmarshal(d); err != nil {
			return err
		}
		if _, err := f.Compile(args[0]); err != nil {
			return fmt.Errorf("%w, at %s:%d", err, line.File, line.Line)
		}
		if a.Formats == nil {
			a.Formats = make(map[string]*Format)
		}
		a.Formats[args[0]] = f
	}
	return nil
}

// option reads the option at hand, if it is one that has a type of its own.
func (a *App) option(d *caddyfile.Dispenser) (is bool, err error) {
	if is, err = a.Ceiling.unmarshal(d); is || err != nil {
		return is, err
	}
	if is, err = a.Stores.unmarshal(d); is || err != nil {
		return is, err
	}
	return a.Draining.unmarshal(d)
}

func (f *Format) unmarshal(d *caddyfile.Dispenser) error {
	field := func(example string, to **Field) directive.Parse {
		return func(d *caddyfile.Dispenser) error {
			*to = new(Field)
			return directive.Args(example, 2, directive.Int(&(*to).Offset), directive.Int(&(*to).Size), directive.Uint32(&(*to).Mask), directive.Int(&(*to).Shift))(d)
		}
	}
	return directive.Block(d, "format", directive.Options{
		"byte_order":             directive.One("little", directive.String(&f.ByteOrder)),
		"header":                 directive.One("13", directive.Int(&f.Header)),
		"magic":                  directive.Args("0x4D43", 1, directive.String(&f.Magic), directive.String(&f.AnswerMagic)),
		"magic_offset":           directive.One("2", directive.Int(&f.MagicOffset)),
		"version":                field("2 1", &f.Version),
		"versions":               directive.List("1", directive.AppendUint32(&f.Versions)),
		"cmd":                    field("3 2", &f.Cmd),
		"flag":                   field("9 1", &f.Flag),
		"length":                 directive.Args("5 4", 2, directive.Int(&f.LengthFieldOffset), directive.Int(&f.LengthFieldLength)),
		"length_adjustment":      directive.One("-4", adjustment(&f.LengthAdjustment)),
		"initial_bytes_to_strip": directive.One("4", directive.Int(&f.InitialBytesToStrip)),
		"max_frame_length":       directive.One("1MiB", directive.Size(&f.MaxFrameLength)),
		"fail_fast":              directive.One("false", boolean(&f.FailFast)),
		"checksum":               f.unmarshalChecksum,
		"trailer":                directive.One("0x0D0A", directive.String(&f.Trailer)),
		"heartbeat":              f.unmarshalHeartbeat,
		"asks":                   match("asks", "flag 0x01/0x01", &f.Asks),
		"answers":                match("answers", "flag 0x02/0x02", &f.Answers),
		"id": func(d *caddyfile.Dispenser) error {
			f.ID = new(ID)
			return directive.Args("12 4", 2, directive.Int(&f.ID.Offset), directive.Int(&f.ID.Size))(d)
		},
	})
}

func (f *Format) unmarshalChecksum(d *caddyfile.Dispenser) error {
	c := new(Checksum)
	f.Checksum = c
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.Errf("checksum has %d arguments: write it as `checksum crc32 9` or `checksum crc32 trailer`", len(args))
	}
	c.Algorithm = args[0]
	if c.Trailer = args[1] == "trailer"; !c.Trailer {
		var err error
		if c.Offset, err = strconv.Atoi(args[1]); err != nil {
			return d.Errf("checksum: %q is no offset: write it as `checksum crc32 9` or `checksum crc32 trailer`", args[1])
		}
	}
	return directive.Block(d, "checksum", directive.Options{"covers": directive.List("0-9 payload", directive.Append(&c.Covers))})
}

func (f *Format) unmarshalHeartbeat(d *caddyfile.Dispenser) error {
	hb := new(FormatHeartbeat)
	f.Heartbeat = hb
	if err := parseMatch(d, "heartbeat", "cmd 0x01 flag 0x01", d.RemainingArgs(), &hb.Ping); err != nil {
		return err
	}
	reply := func() *Reply {
		if hb.Reply == nil {
			hb.Reply = new(Reply)
		}
		return hb.Reply
	}
	return directive.Block(d, "heartbeat", directive.Options{
		"reply": func(d *caddyfile.Dispenser) error {
			r, args := reply(), d.RemainingArgs()
			if len(args) == 0 {
				return d.Errf("reply has 0 arguments: write it as `reply cmd 0x02 flag 0x02`, or as a whole frame in hex")
			}
			if len(args) == 1 {
				r.Frame = args[0]
				return nil
			}
			for len(args) >= 2 {
				to := map[string]**uint32{"cmd": &r.Cmd, "flag": &r.Flag}[args[0]]
				if to == nil || *to != nil {
					break
				}
				*to = new(uint32)
				if err := directive.Uint32(*to)(args[1]); err != nil {
					return d.Errf("reply %s: %v", args[0], err)
				}
				args = args[2:]
			}
			if len(args) > 0 {
				return d.Errf("reply: %q is not understood: write it as `reply cmd 0x02 flag 0x02`, or as a whole frame in hex", strings.Join(args, " "))
			}
			return nil
		},
		"echo": func(d *caddyfile.Dispenser) error {
			return directive.List("payload", directive.Append(&reply().Echo))(d)
		},
	})
}

// match is an option whose arguments are a match.
func match(name, example string, to **Match) directive.Parse {
	return func(d *caddyfile.Dispenser) error {
		*to = new(Match)
		return parseMatch(d, name, example, d.RemainingArgs(), *to)
	}
}

func parseMatch(d *caddyfile.Dispenser, name, example string, args []string, m *Match) error {
	words := map[string]*string{"from": &m.From, "version": &m.Version, "cmd": &m.Cmd, "flag": &m.Flag, "payload": &m.Payload}
	given := len(args) > 0
	for len(args) > 0 {
		if args[0] == "any" {
			m.Any = true
			args = args[1:]
			continue
		}
		to := words[args[0]]
		if to == nil || len(args) < 2 || *to != "" && args[0] != "cmd" {
			given = false
			break
		}
		*to = strings.TrimSpace(*to + " " + args[1]) // cmd may be given several times
		args = args[2:]
	}
	if !given {
		return d.Errf("%s: %q is not understood: write it as `%s %s`", name, strings.Join(args, " "), name, example)
	}
	return nil
}

// adjustment is a whole number, which may be negative.
func adjustment(to **int) directive.Arg {
	return func(s string) error {
		v, err := strconv.Atoi(s)
		if err != nil {
			return fmt.Errorf("%q is no whole number", s)
		}
		*to = &v
		return nil
	}
}

func boolean(to **bool) directive.Arg {
	return func(s string) error {
		if s != "true" && s != "false" {
			return fmt.Errorf("%q is neither true nor false", s)
		}
		*to = new(s == "true")
		return nil
	}
}

// Interface guard.
var _ caddyfile.Unmarshaler = (*App)(nil)
