// Package cli is the command line: `caddy gopr ping|send|echo|decode|bench|dissector`, to try, measure and look into
// whatever speaks GOPR, and `status|connections|kill|upstreams|drain|sessions|messages`, to see and steer a gateway that runs. docs/cli.md shows each command with what it prints.
//
// A command is a function of its arguments, a context that ends it, and where it reads and writes; it
// returns an exit code and an error to print. So all but this file and declared.go can be tested in-process, and
// knows neither Caddy nor cobra.
//
//	cli.go     the commands, their flags and help, registered with Caddy
//	number.go  flags that are numbers, decimal or 0x hexadecimal
//	stdio.go   exit codes; reading what may never come
//	dial.go    how ping, send and bench connect, TLS included; what may be done about errors
//	format.go  payloads and times as text; frame_text.go: frames
//	declared.go  the format by --format: built in, or declared in Caddy's configuration
//
//	ping.go    ping: round trips; ping_format.go: to peers that speak another format than GOPR
//	send.go    send: one frame and its answer; publish.go: over a session; hello.go: who says HELLO, for send and bench
//	echo.go    echo: a backend that answers; echo_conn.go: one connection of it
//	decode.go  decode: a stream's frames; frames.go reads them, printer.go prints them; extended.go, extended_text.go: those of extended connections
//	bench.go   bench: load; load.go: all connections, stream.go: one, report.go: what is printed; bench_publish.go: with messages
//
//	dissector.go  dissector: a format as Lua for Wireshark, by dissector.lua.tmpl; dissector_view.go: what
//	              that is filled in with, dissector_match.go, dissector_lua.go: conditions and numbers in Lua;
//	              dissector_extended.go, dissector_extended.lua.tmpl: extended connections
//
//	operate.go      status, connections, kill, upstreams, drain: their flags and help; filters.go: those of filters
//	admin.go        the admin API of a running Caddy; admin_address.go: where it is
//	status.go       status: handlers, upstreams, rates; overview.go, groups.go: what is asked and printed
//	connections.go  connections: a list, or one; connection_text.go: as text. kill.go, upstreams.go, drain.go: those
//	operate_sessions.go  sessions and messages: their flags and help; sessions.go, messages.go: those
//	table.go        columns, times, sizes
//
//	latency.go times and their percentiles, for ping and bench
package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os/signal"
	"strings"
	"syscall"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:      "gopr",
		Short:     "Talks to GOPR peers, and shows and steers a gateway that runs",
		CobraFunc: configure,
	})
}

// configure makes cmd the command gopr.
func configure(cmd *cobra.Command) {
	cmd.Long = `
Tools for GOPR, the protocol that this gateway carries, and for the gateway itself.

Exit codes are those of ping(8): 0, it was answered, or the stream is good; 1, it was
not; 2, it could not be tried: wrong arguments, no connection, an unreadable file.`
	cmd.Example = `  caddy gopr ping 127.0.0.1:7450
  caddy gopr send 127.0.0.1:7450 --cmd 0x10 --data hello
  caddy gopr status --watch`
	cmd.Use, cmd.DisableFlagsInUseLine = "gopr", true
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return exit(cmd, exitUsage, fmt.Errorf("there is no command %s: want ping, send, echo, decode, bench, dissector, status, connections, kill, upstreams or drain", args[0]))
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return exit(cmd, exitUsage, fmt.Errorf("%w (see %s --help)", err, cmd.CommandPath()))
	})
	cmd.AddCommand(pingCommand(), sendCommand(), echoCommand(), decodeCommand(), benchCommand(), dissectorCommand())
	cmd.AddCommand(statusCommand(), connectionsCommand(), killCommand(), upstreamsCommand(), drainCommand(), sessionsCommand(), messagesCommand())
}

func pingCommand() *cobra.Command {
	var a pingArgs
	cmd := &cobra.Command{
		Use:   "ping ADDR [--count N] [--interval T] [--timeout T] [--format NAME] [--tls]",
		Short: "Measures round trips, as ping(8) does",
		Long: `
Sends a PING each interval over one connection, tells of each round trip, and sums them
up at the end, which is after --count pings or at Ctrl-C. A connection that is lost is
dialled again; the pings meanwhile are lost.

Exits with 0 if at least one ping came back, with 1 if none did.`,
		Example: "  caddy gopr ping 127.0.0.1:7450\n  caddy gopr ping gateway.example.com:7451 --tls --count 5",
	}
	runs(cmd, &a.addr, noAddr, func(ctx context.Context, std stdio) (int, error) { return ping(ctx, a, std) })
	cmd.Flags().VarP(number[int]{to: &a.count, max: 1<<31 - 1}, "count", "c", "how many pings; 0: until Ctrl-C")
	cmd.Flags().DurationVarP(&a.interval, "interval", "i", time.Second, "time from one ping to the next")
	formats(cmd, &a.formatArgs)
	dials(cmd, &a.dialArgs, "how long a pong may take, and the dial")
	return cmd
}

func sendCommand() *cobra.Command {
	a := sendArgs{cmd: wire.CmdApp, flag: wire.FlagReq}
	cmd := &cobra.Command{
		Use:   "send ADDR [--cmd N] [--flag N] [--data TEXT | --hex HEX | --file FILE] [--raw | --json] [--qos N --client-id ID] [--tls]",
		Short: "Sends one frame and prints the payload of its answer",
		Long: `
Sends one frame. With bit 0x01 in its flag it asks for an answer, whose payload is
printed: as text if it is printable, else in hexadecimal. Without that bit the frame is
sent, and nothing waited for.

With --client-id it says HELLO first, and the frame goes over that client's session; with
--qos 1 or 2 it is a message, and waited for until the gateway has acknowledged it.

Exits with 0 if the answer came, the message was acknowledged, or the frame was sent where
it asks for nothing; with 1 if not.`,
		Example: "  caddy gopr send 127.0.0.1:7450 --cmd 0x10 --data hello\n" +
			"  caddy gopr send 127.0.0.1:7450 --cmd 0x10 --hex '00 01 02' --json\n" +
			"  caddy gopr send 127.0.0.1:7450 --cmd 0x10 --file - --raw < request > answer\n" +
			"  caddy gopr send 127.0.0.1:7450 --cmd 0x10 --data hello --qos 1 --client-id device-42 --credential @secret",
	}
	runs(cmd, &a.addr, noAddr, func(ctx context.Context, std stdio) (int, error) {
		a.flagGiven = cmd.Flags().Changed("flag")
		if a.qos > 0 && !a.flagGiven {
			a.flag = 0
		}
		return send(ctx, a, std)
	})
	cmd.Flags().Var(number[uint8]{to: &a.cmd, max: 0xFF, hex: true}, "cmd", "command")
	cmd.Flags().Var(number[uint8]{to: &a.flag, max: 0xFF, hex: true}, "flag", "flag; 0x01 asks for an answer")
	cmd.Flags().StringVar(&a.data, "data", "", "payload, as text")
	cmd.Flags().StringVar(&a.hex, "hex", "", "payload, in hexadecimal")
	cmd.Flags().StringVar(&a.file, "file", "", "payload, the bytes of a file; - for standard input")
	cmd.Flags().BoolVar(&a.raw, "raw", false, "print the bytes of the answer's payload, and nothing else")
	cmd.Flags().BoolVar(&a.json, "json", false, "print the whole answer as JSON")
	helloFlags(cmd, &a.sessionArgs, "who says HELLO: the frame goes over that client's session")
	cmd.Flags().StringVar(&a.ticket, "ticket", "", "file that keeps what resumes the session, for the next time; none given: the session ends")
	dials(cmd, &a.dialArgs, "how long the answer may take, and the dial")
	return cmd
}

func echoCommand() *cobra.Command {
	var a echoArgs
	cmd := &cobra.Command{
		Use:   "echo [--listen ADDR] [--verbose]",
		Short: "Runs a backend that answers each request with its payload",
		Long: `
Listens, and answers: a PING with its PONG, a request (flag 0x01) with a frame of the
same command and payload. Ctrl-C ends it with a summary.`,
		Example: "  caddy gopr echo --listen 127.0.0.1:9000 --verbose",
	}
	runs(cmd, nil, "", func(ctx context.Context, std stdio) (int, error) { return echo(ctx, a, std) })
	cmd.Flags().StringVar(&a.listen, "listen", "127.0.0.1:9000", "address to listen on; port 0: any that is free")
	cmd.Flags().BoolVarP(&a.verbose, "verbose", "v", false, "print each connection and each frame that comes")
	return cmd
}

func decodeCommand() *cobra.Command {
	var a decodeArgs
	cmd := &cobra.Command{
		Use:   "decode [FILE | - | --hex HEX] [--format NAME] [--json] [--on-invalid close|drop]",
		Short: "Prints the frames of a stream, one a line",
		Long: `
Reads a stream of frames from a file, from standard input or from --hex, and prints each
frame with the byte at which it begins. A stream that is wrong, or ends inside a frame,
is said so: at which byte, why, what came and what would have been right. What a gateway
would accept can be narrowed as in its configuration. The frames are GOPR's, or those of
another format, built in or declared in Caddy's configuration.

Exits with 0 if the whole stream is good, with 1 if not.`,
		Example: "  caddy gopr decode captured.bin\n" +
			"  caddy gopr decode --hex '474f5052 0001 0005 10 01 68656c6c6f'\n" +
			"  tcpflow -C -p port 7450 | caddy gopr decode - --json",
	}
	runs(cmd, &a.file, "", func(ctx context.Context, std stdio) (int, error) { return decode(ctx, a, std) })
	cmd.Flags().StringVar(&a.hex, "hex", "", "the stream itself, in hexadecimal")
	cmd.Flags().BoolVar(&a.extended, "extended", false, "HELLO was said before the stream begins; else from the first HELLO or WELCOME on")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON, one object a line, with whole payloads")
	cmd.Flags().StringVar(&a.onInvalid, "on-invalid", "close", "what to do at a wrong frame: close, or drop it and go on as a gateway would")
	cmd.Flags().StringVar(&a.versions, "versions", "", "the versions accepted; none given: those of the format, of gopr 1")
	cmd.Flags().StringVar(&a.commands, "commands", "", `the commands accepted, such as "0x01 0x10-0xFF"; none given: all`)
	cmd.Flags().Var(number[int]{to: &a.maxPayload, max: math.MaxInt32}, "max-payload", "the longest payload accepted, in bytes; 0: the longest of the format")
	formats(cmd, &a.formatArgs)
	return cmd
}

func benchCommand() *cobra.Command {
	a := benchArgs{conns: 50, inflight: 16, payload: 64, cmd: wire.CmdApp}
	cmd := &cobra.Command{
		Use:   "bench ADDR [--conns N] [--inflight N] [--payload BYTES] [--duration T] [--cmd N] [--qos N] [--json] [--tls]",
		Short: "Measures throughput and latency under load",
		Long: `
Opens --conns connections, and on each keeps --inflight requests on their way: when an
answer comes, the next request goes out. The peer has to echo, as ` + "`caddy gopr echo`" + `
and ` + "`respond echo`" + ` do: every answer is compared with its request.

With --qos 1 or 2 each connection has a session, and publishes messages; when the gateway
has acknowledged one, the next goes out. Nothing has to echo.

It runs for --duration, or until Ctrl-C; progress goes to standard error, the result to
standard output. Requests still on their way then are waited for, up to --timeout.

Exits with 0 if all went well, with 1 if there were errors or no answers.`,
		Example: "  caddy gopr bench 127.0.0.1:7450\n  caddy gopr bench 127.0.0.1:7450 --conns 1000 --inflight 1 --duration 1m --json\n" +
			"  caddy gopr bench 127.0.0.1:7450 --cmd 0x01   # PINGs\n" +
			"  caddy gopr bench 127.0.0.1:7450 --qos 1 --conns 200",
	}
	runs(cmd, &a.addr, noAddr, func(ctx context.Context, std stdio) (int, error) { return bench(ctx, a, std) })
	cmd.Flags().Var(number[int]{to: &a.conns, min: 1, max: 1 << 20}, "conns", "connections")
	cmd.Flags().Var(number[int]{to: &a.inflight, min: 1, max: 1 << 16}, "inflight", "requests on their way at once, per connection")
	cmd.Flags().Var(number[int]{to: &a.payload, max: wire.MaxPayload}, "payload", "size of a payload, in bytes")
	cmd.Flags().DurationVar(&a.duration, "duration", 10*time.Second, fmt.Sprintf("how long; at most %v", maxDuration))
	cmd.Flags().Var(number[uint8]{to: &a.cmd, max: 0xFF, hex: true}, "cmd", "command of the requests")
	helloFlags(cmd, &a.sessionArgs, "what the client ids of --qos begin with; none given: random")
	cmd.Flags().BoolVar(&a.json, "json", false, "print the result as JSON")
	dials(cmd, &a.dialArgs, "how long an answer may take, and a dial")
	return cmd
}

// helloFlags gives a command the flags of those that say HELLO.
func helloFlags(cmd *cobra.Command, a *sessionArgs, clientID string) {
	cmd.Flags().Var(number[uint8]{to: &a.qos, max: 2}, "qos", "quality of service: 0, 1 or 2")
	cmd.Flags().StringVar(&a.clientID, "client-id", "", clientID)
	cmd.Flags().StringVar(&a.credential, "credential", "", "what shows that it is this client; @FILE: that of a file")
}

// dials gives a command the flags of those that dial.
func dials(cmd *cobra.Command, a *dialArgs, timeout string) {
	cmd.Flags().DurationVar(&a.timeout, "timeout", 5*time.Second, timeout)
	cmd.Flags().BoolVar(&a.tls, "tls", false, "use TLS; --ca, --server-name and --insecure say so, too")
	cmd.Flags().StringVar(&a.ca, "ca", "", "file with the CA's certificate (PEM) to trust in place of the system's")
	cmd.Flags().StringVar(&a.serverName, "server-name", "", "name that the peer's certificate must be for; default: the host of ADDR")
	cmd.Flags().BoolVar(&a.insecure, "insecure", false, "trust any certificate")
	cmd.Flags().SortFlags = false
}

// runs makes a command of a function. Where it takes an argument, arg is where it goes, and missing what is said
// without it; "": it may be left out.
func runs(cmd *cobra.Command, arg *string, missing string, f func(context.Context, stdio) (int, error)) {
	cmd.DisableFlagsInUseLine = true
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		most := 0
		if arg != nil {
			most = 1
		}
		switch {
		case len(args) > most:
			return exit(cmd, exitUsage, fmt.Errorf("%q is one argument too many: want %s", args[most], cmd.Use))
		case len(args) < most && missing != "":
			return exit(cmd, exitUsage, errors.New(missing))
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			*arg = args[0]
		}
		return execute(cmd, f)
	}
}

// execute runs a command's function.
func execute(cmd *cobra.Command, f func(context.Context, stdio) (int, error)) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)() // the second Ctrl-C is the system's
	code, err := f(ctx, stdio{in: cmd.InOrStdin(), out: cmd.OutOrStdout(), err: cmd.ErrOrStderr()})
	return exit(cmd, code, err)
}

const noAddr = "whom to talk to is missing: give an address such as 127.0.0.1:7450"

// exit prints err, if there is one, and returns what makes Caddy exit with the code.
func exit(cmd *cobra.Command, code int, err error) error {
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	if err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %v\n", cmd.CommandPath(), err)
	}
	switch code {
	case exitOK:
		return nil
	case exitNo:
		return errExitNo
	}
	// Any other code takes an error that only Caddy can make.
	return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return code, nil })(cmd, nil)
}

// errExitNo is an error like any other: Caddy exits with 1 for it.
var errExitNo = errors.New("no answer")

func dissectorCommand() *cobra.Command {
	a := dissectorArgs{port: 7450}
	cmd := &cobra.Command{
		Use:   "dissector [--format NAME [--config FILE]] [--port N] [--proto NAME]",
		Short: "Prints a Wireshark dissector of a format",
		Long: `
Prints a dissector in Lua, by which Wireshark and tshark show the frames of a format:
a built-in one, or one that Caddy's configuration declares. Connections are known by
the port and, on any other, by the magic.`,
		Example: "  caddy gopr dissector > gopr.lua && wireshark -X lua_script:gopr.lua capture.pcapng\n" +
			"  caddy gopr dissector --format meter --config /etc/caddy/Caddyfile --port 502 > meter.lua",
	}
	runs(cmd, nil, "", func(ctx context.Context, std stdio) (int, error) { return dissector(ctx, a, std) })
	formats(cmd, &a.formatArgs)
	cmd.Flags().Var(number[int]{to: &a.port, max: 65535}, "port", "TCP port of the connections; 0: known by the magic alone")
	cmd.Flags().StringVar(&a.proto, "proto", "", "what filters begin with; default: the format's name")
	return cmd
}

// formats gives a command the flags that say what frames look like.
func formats(cmd *cobra.Command, a *formatArgs) {
	cmd.Flags().StringVar(&a.format, "format", wire.GOPR.Name(), "what frames look like: "+strings.Join(builtIn(), ", ")+", or a name that --config declares")
	cmd.Flags().StringVar(&a.config, "config", "", "Caddy's configuration, where that declares the format")
	cmd.Flags().StringVar(&a.adapter, "adapter", "", "what the configuration is written in, such as caddyfile; default: by its name")
}
