package cli

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
)

// runCommand runs `caddy gopr` in this process. err is what cobra is given.
func runCommand(stdin string, args ...string) (out, errs string, err error) {
	root := &cobra.Command{Use: "caddy", SilenceUsage: true}
	gopr := &cobra.Command{Use: "gopr"}
	configure(gopr)
	root.AddCommand(gopr)
	o, e := new(output), new(output)
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(o)
	root.SetErr(e)
	root.SetArgs(append([]string{"gopr"}, args...))
	err = root.Execute()
	return o.String(), e.String(), err
}

func TestCommands(t *testing.T) {
	addr := startEcho(t)
	tests := []struct {
		args  string
		stdin string
		want  string // a part of standard output
	}{
		{"", "", "Tools for GOPR"},
		{"ping --help", "", "Sends a PING each interval"},
		{"ping " + addr + " -c 2 -i 1ms", "", "2 sent, 2 received, 0% loss"},
		{"ping " + addr + " --count 0x2 --interval 1ms --timeout 1m", "", "2 sent, 2 received, 0% loss"},
		{"send " + addr + " --data hello", "", "hello\n"},
		{"send " + addr + " --cmd 0x11 --hex 00ff --json", "", `"cmd":17,"flag":2,"length":2,"payload":"00ff"`},
		{"send " + addr + " --cmd 17 --flag 1 --file - --raw", "\x00\xff", "\x00\xff"},
		{"send " + addr + " --flag 0x0 --data hello", "", ""},
		{"decode --hex 474f5052000100001001", "", "cmd 0x10       flag 0x01 asks         0 bytes\n"},
		{"decode --max-payload 0x5 --commands 0x10 --versions 1 --json -", frame(0x10, 0, "hello"), `"text":"hello"`},
		{"decode", frame(0x10, 0, "hello"), `"hello"`},
		{"bench " + addr + " --duration 10ms --conns 2 --inflight 3 --payload 0x20 --cmd 0x10 --timeout 1m", "", "errors      none"},
		{"bench " + addr + " --duration 10ms --json", "", `"conns": 50,`},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			out, errs, err := runCommand(tt.stdin, strings.Fields(tt.args)...)
			if err != nil || !strings.Contains(out, tt.want) {
				t.Errorf("%v, want %q in:\n%s\n%s", err, tt.want, out, errs)
			}
		})
	}
}

// Mistakes are told in one line that says what would be right.
func TestCommandMistakes(t *testing.T) {
	tests := []struct{ args, want string }{
		{"pong", "caddy gopr: there is no command pong: want ping, send, echo, decode, bench, dissector, status, connections, kill, upstreams or drain\n"},
		{"ping", "caddy gopr ping: whom to talk to is missing: give an address such as 127.0.0.1:7450\n"},
		{"ping a:1 b:2", `caddy gopr ping: "b:2" is one argument too many: want ping ADDR `},
		{"echo :9000", `caddy gopr echo: ":9000" is one argument too many: want echo [--listen ADDR]`},
		{"decode a b", `caddy gopr decode: "b" is one argument too many: want decode [FILE`},
		{"ping a:1 --every 1s", "caddy gopr ping: unknown flag: --every (see caddy gopr ping --help)\n"},
		{"ping a:1 -i 1", `caddy gopr ping: invalid argument "1" for "-i, --interval" flag: time: missing unit in duration "1"`},
		{"ping a:1 -c many", `invalid argument "many" for "-c, --count" flag: want a number from 0 to 2147483647`},
		{"send a:1 --cmd 0x100", `caddy gopr send: invalid argument "0x100" for "--cmd" flag: want a number from 0 to 255, such as 16 or 0x10`},
		{"send a:1 --flag -1", `want a number from 0 to 255, such as 1 or 0x1`},
		{"decode --max-payload 65536", "maximum payload of 65536 bytes: the length field of gopr says at most 65535"},
		{"bench a:1 --conns 0", "want a number from 1 to 1048576, such as 50 or 0x32"},
		{"bench a:1 --payload 65536", "want a number from 0 to 65535, such as 64 or 0x40"},
		{"bench a:1 --inflight 0", "want a number from 1 to 65536"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			out, errs, err := runCommand("", strings.Fields(tt.args)...)
			if err == nil || out != "" || !strings.Contains(errs, tt.want) || strings.Count(errs, "\n") != 1 {
				t.Errorf("%v, want %q in:\n%s\n%s", err, tt.want, out, errs)
			}
		})
	}
}

// asCaddy returns a command that runs this test binary as caddy: see TestMain.
func asCaddy(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, append([]string{"gopr"}, args...)...)
	cmd.Env = append(os.Environ(), "GOPR_CLI_TEST_CADDY=1")
	return cmd
}

// The exit codes that scripts see.
func TestExitCodes(t *testing.T) {
	tests := []struct {
		args []string
		code int
		errs string
	}{
		{[]string{"decode", "--hex", "474f5052000100001001"}, 0, "1 frame in 10 bytes\n"},
		{[]string{"decode", "--hex", "00"}, 1, "0 frames in 0 bytes\ncaddy gopr decode: byte 0: magic: got 0x00, want 0x47 (in the frame that begins at byte 0)\n"},
		{[]string{"decode", "--hex", "0"}, 2, "caddy gopr decode: hex: 1 digits make no whole bytes: want two for each byte, such as 0a and not a\n"},
		{[]string{"send"}, 2, "caddy gopr send: whom to talk to is missing: give an address such as 127.0.0.1:7450\n"},
		{[]string{"send", "--cmd", "x"}, 2, "caddy gopr send: invalid argument \"x\" for \"--cmd\" flag: want a number from 0 to 255, such as 16 or 0x10 (see caddy gopr send --help)\n"},
		{[]string{"pong"}, 2, "caddy gopr: there is no command pong: want ping, send, echo, decode, bench, dissector, status, connections, kill, upstreams or drain\n"},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			t.Parallel()
			cmd := asCaddy(t, tt.args...)
			var errs bytes.Buffer
			cmd.Stderr = &errs
			err := cmd.Run()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if got := cmd.ProcessState.ExitCode(); got != tt.code {
				t.Errorf("exit code %d, want %d", got, tt.code)
			}
			wantText(t, errs.String(), tt.errs)
		})
	}
}

// Ctrl-C gives the summary so far.
func TestSignals(t *testing.T) {
	addr := startEcho(t)
	tests := []struct {
		name  string
		args  []string
		ready string // the line after which the signal is sent
		want  string
	}{
		{"ping", []string{"ping", addr, "-i", "1h"}, "seq=1", "1 sent, 1 received, 0% loss"},
		{"echo", []string{"echo", "--listen", "127.0.0.1:0"}, "listening on", "0 connections: 0 requests and 0 pings answered"},
	}
	for _, tt := range tests {
		for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			t.Run(tt.name+"/"+signal.String(), func(t *testing.T) {
				t.Parallel()
				cmd := asCaddy(t, tt.args...)
				stdout, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				var out strings.Builder
				for lines := bufio.NewScanner(stdout); lines.Scan(); {
					out.WriteString(lines.Text() + "\n")
					if strings.Contains(lines.Text(), tt.ready) {
						_ = cmd.Process.Signal(signal)
					}
				}
				if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), tt.want) {
					t.Errorf("%v, want %q in:\n%s", err, tt.want, out.String())
				}
			})
		}
	}
}
