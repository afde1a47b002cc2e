package recipes

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// find returns the path of a program, and skips the test where the package that has it is not installed.
func find(t *testing.T, name, debianPackage string) string {
	t.Helper()
	for _, candidate := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	t.Skipf("%s is not installed: on Debian it is in the package %s", name, debianPackage)
	return ""
}

// program is a server that a test has started.
type program struct {
	addr   string
	cmd    *exec.Cmd
	log    *output
	exited chan struct{} // closed when it is gone
}

// launch starts a server and returns when it takes connections. It is ended with the test.
func launch(t *testing.T, cmd *exec.Cmd, addr string) *program {
	t.Helper()
	p := &program{addr: addr, cmd: cmd, log: new(output), exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.log, p.log
	cmd.WaitDelay = patience
	cmd.SysProcAttr = diesWithParent()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() {
			t.Logf("%s says:\n%s", cmd.Path, p.log.tail())
		}
	})
	eventually(t, cmd.Path+" listens", func() bool {
		select {
		case <-p.exited:
			t.Fatalf("%s has ended:\n%s", cmd, p.log.tail())
		default:
		}
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	})
	return p
}

// stop ends the server, and returns when it has ended.
func (p *program) stop(t *testing.T) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.exited
		t.Errorf("SIGTERM did not end %s", p.cmd.Path)
	}
}

// run runs a client to its end, and returns what it printed. It is an error if the client fails.
func run(stdin, path string, args ...string) (string, error) {
	cmd := exec.Command(path, args...)
	cmd.SysProcAttr = diesWithParent()
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return string(out), nil
}

// output is what a process has written.
type output struct {
	mu  sync.Mutex
	all bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.Write(b)
}

// tail returns the last lines.
func (o *output) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(o.all.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

// freeAddr returns a loopback address that nobody listens on, from below the ports that systems use for outgoing connections.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(22000))
		if l, err := net.Listen("tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

func portOf(addr string) string {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		panic(err)
	}
	return port
}
