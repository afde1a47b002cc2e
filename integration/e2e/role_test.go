package e2e

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// A role is a process that this test binary plays, so that its descriptors and memory are its own. It says a line when it is ready; what is
// written to it has it do a round; its end of input ends it.
type role struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	err bytes.Buffer
}

const roleEnv = "GOPR_E2E_ROLE"

var roles = map[string]func(args []string) error{"idle": playIdle, "backend": playBackend, "abuser": playAbuser, "good": playGood, "lister": playLister}

func startRole(t *testing.T, name string, args ...string) *role {
	t.Helper()
	r := &role{cmd: exec.Command(os.Args[0], args...)}
	r.cmd.Env = append(os.Environ(), roleEnv+"="+name)
	r.cmd.Stderr = &r.err
	r.cmd.SysProcAttr = diesWithParent()
	var err error
	r.in, err = r.cmd.StdinPipe()
	check(t, err)
	out, err := r.cmd.StdoutPipe()
	check(t, err)
	r.out = bufio.NewReader(out)
	check(t, r.cmd.Start())
	t.Cleanup(func() { r.stop(t) })
	return r
}

// says waits for a line.
func (r *role) says(t *testing.T) string {
	t.Helper()
	s, err := r.out.ReadString('\n')
	if err != nil {
		_ = r.cmd.Wait()
		t.Fatalf("%v: %s", r.cmd.Args[1:], r.err.String())
	}
	return strings.TrimSpace(s)
}

// round has it do its work once.
func (r *role) round(t *testing.T) {
	t.Helper()
	_, err := io.WriteString(r.in, "\n")
	check(t, err)
	r.says(t)
}

func (r *role) stop(t *testing.T) {
	t.Helper()
	if r.cmd.ProcessState != nil {
		return
	}
	_ = r.in.Close()
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("%v: %v: %s", r.cmd.Args[1:], err, r.err.String())
	}
}

// playIdle opens connections to args[0], args[1] of them, over TLS where args[2] is a file of the CA. Each round is a ping on each, with its pong
// unless args[3] says that none will come.
func playIdle(args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	var conf *tls.Config
	mute := args[3] == "mute"
	if args[2] != "" {
		conf, err = trusting(args[2])
		if err != nil {
			return err
		}
	}
	devices := make([]*device, n)
	errs := make([]error, n)
	each := func(do func(i int) error) error {
		var wg sync.WaitGroup
		for worker := range 16 {
			wg.Go(func() {
				for i := worker; i < n; i += 16 {
					errs[i] = do(i)
				}
			})
		}
		wg.Wait()
		for i, err := range errs {
			if err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
		}
		return nil
	}
	if err := each(func(i int) error {
		nc, err := net.Dial("tcp", args[0])
		if err == nil && conf != nil {
			tc := tls.Client(nc, conf)
			nc, err = tc, tc.Handshake()
		}
		devices[i] = &device{Conn: nc}
		return err
	}); err != nil {
		return err
	}
	return rounds(func() error {
		return each(func(i int) error {
			d := devices[i]
			if err := d.send(ping(nil)); err != nil || mute {
				return err
			}
			return d.expect(pong(nil))
		})
	})
}

// playBackend echoes, and says where.
func playBackend([]string) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				echoes(nc, nil)
			}()
		}
	}()
	fmt.Println(ln.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	return nil
}

// rounds says that it is ready, and after each line that it has done what there is to do.
func rounds(do func() error) error {
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if err := do(); err != nil {
			return err
		}
		fmt.Println("done")
	}
	return nil
}
