package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A caddy is a Caddy process.
type caddy struct {
	t      testing.TB
	cmd    *exec.Cmd
	home   string
	places places
	log    *log

	exited chan struct{} // closed when the process is gone; err is set before
	err    error
}

// places are the addresses in a configuration, by the name they have there: ${name}.
type places map[string]string

var placeholder = regexp.MustCompile(`\$\{(\w+)\}`)

// fill puts addresses into a configuration. One that has no address yet gets a free one.
func (p places) fill(t testing.TB, config string) string {
	t.Helper()
	return placeholder.ReplaceAllStringFunc(config, func(s string) string {
		name := s[2 : len(s)-1]
		if p[name] == "" {
			p[name] = freeAddr(t)
		}
		return p[name]
	})
}

// config wraps routes of layer4 into a configuration that touches nothing of the machine's own, and stops without a drain.
func config(layer4 string) string {
	return "{\n\tadmin ${admin}\n\tpersist_config off\n\tlog {\n\t\tlevel DEBUG\n\t}\n\tgopr {\n\t\tgrace 0\n\t\tdrain 0\n\t}\n\tlayer4 {\n" + layer4 + "\n\t}\n}\n"
}

// configTLS is config with a certificate for localhost, from a CA of its own.
func configTLS(layer4 string) string {
	c := strings.Replace(config(layer4), "{\n", "{\n\tlocal_certs\n\tskip_install_trust\n\tauto_https disable_redirects\n\tservers {\n\t\tprotocols h1\n\t}\n", 1)
	return c + "https://localhost:${port} {\n\tbind 127.0.0.1\n}\n"
}

// start runs a Caddy with a Caddyfile until the test ends, and returns when it serves. fixed are the addresses of things that are there already.
func start(t testing.TB, caddyfile string, fixed places) *caddy {
	t.Helper()
	return startBinary(t, binary(t), caddyfile, fixed)
}

func startBinary(t testing.TB, path, caddyfile string, fixed places) *caddy {
	t.Helper()
	for {
		c := &caddy{t: t, home: t.TempDir(), places: places{}, log: &log{}, exited: make(chan struct{})}
		for name, addr := range fixed {
			c.places[name] = addr
		}
		c.places["port"] = portOf(freeAddr(t))
		c.run(path, c.places.fill(t, caddyfile))
		switch {
		case c.ready():
			t.Cleanup(c.cleanup)
			return c
		case !c.log.contains("address already in use"): // else somebody was faster to take a port that was free: take others
			t.Fatalf("Caddy does not start: %v\n%s", c.err, c.log.tail())
		}
	}
}

func (c *caddy) run(path, caddyfile string) {
	c.t.Helper()
	file := filepath.Join(c.home, "Caddyfile")
	if err := os.WriteFile(file, []byte(caddyfile), 0o600); err != nil {
		c.t.Fatal(err)
	}
	c.cmd = exec.Command(path, "run", "--config", file, "--adapter", "caddyfile")
	c.cmd.Env = append(os.Environ(), c.env()...)
	c.cmd.Stdout, c.cmd.Stderr = c.log, c.log
	c.cmd.SysProcAttr = diesWithParent()
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.exited)
	}()
}

// env keeps the process away from the user's files.
func (c *caddy) env() []string {
	return []string{"HOME=" + c.home, "XDG_DATA_HOME=" + c.home, "XDG_CONFIG_HOME=" + c.home}
}

// ready waits until the configuration is served, and returns false if the process ends before.
func (c *caddy) ready() bool {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		select {
		case <-c.exited:
			return false
		case <-time.After(5 * time.Millisecond):
		}
		if status, body, err := c.admin(http.MethodGet, "/config/", ""); err == nil && status == http.StatusOK && strings.TrimSpace(body) != "null" {
			return true
		}
	}
	c.kill()
	return false
}

// addr returns the address of a name in the configuration.
func (c *caddy) addr(name string) string {
	c.t.Helper()
	addr := c.places[name]
	if addr == "" {
		c.t.Fatalf("the configuration has no address named %s", name)
	}
	return addr
}

// adminClient keeps no connections, which would outlive their test.
var adminClient = &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}

// admin asks Caddy's admin endpoint. A reload replaces that, too, and resets who is on his way to the one before: who was reset asks again, and of what may be asked twice,
// everybody.
func (c *caddy) admin(method, path, body string) (status int, answer string, err error) {
	for try := 0; ; try++ {
		status, answer, err = c.adminOnce(method, path, body)
		reset := errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
		if err == nil || method == http.MethodPost && !reset || try == 2 {
			return status, answer, err
		}
	}
}

func (c *caddy) adminOnce(method, path, body string) (status int, answer string, err error) {
	req, err := http.NewRequest(method, "http://"+c.places["admin"]+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if body != "" {
		req.Header.Set("Content-Type", "text/caddyfile")
	}
	res, err := adminClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

// load reloads with another Caddyfile. An error is what Caddy refused it with.
func (c *caddy) load(caddyfile string) error {
	c.t.Helper()
	status, answer, err := c.admin(http.MethodPost, "/load", c.places.fill(c.t, caddyfile))
	if err != nil {
		c.t.Fatalf("POST /load: %v\n%s", err, c.log.tail())
	}
	if status != http.StatusOK {
		return fmt.Errorf("%d %s", status, strings.TrimSpace(answer))
	}
	return nil
}

// command runs another command of the same binary.
func (c *caddy) command(args ...string) (stdout, stderr string, code int) {
	c.t.Helper()
	cmd := exec.Command(c.cmd.Path, args...)
	cmd.Env = append(os.Environ(), c.env()...)
	cmd.SysProcAttr = diesWithParent()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// terminate sends SIGTERM, and returns how long the process took to end, and how it did.
func (c *caddy) terminate() (time.Duration, error) {
	c.t.Helper()
	began := time.Now()
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	select {
	case <-c.exited:
		return time.Since(began), c.err
	case <-time.After(patience):
		c.kill()
		return time.Since(began), errors.New("SIGTERM did not end it")
	}
}

func (c *caddy) kill() {
	_ = c.cmd.Process.Kill()
	<-c.exited
}

// cleanup ends the process, if the test has not. A Caddy that ended by itself, or that panicked, has failed its test, whatever that looked at.
func (c *caddy) cleanup() {
	select {
	case <-c.exited:
		if c.err != nil {
			c.t.Errorf("Caddy ended: %v", c.err)
		}
	default:
		if _, err := c.terminate(); err != nil {
			c.t.Errorf("Caddy ended on SIGTERM with: %v", err)
		}
	}
	if c.log.contains("panic") {
		c.t.Error("there was a panic in Caddy")
	}
	if c.t.Failed() {
		c.t.Logf("Caddy's log ends with:\n%s", c.log.tail())
	}
}

// Ports are taken from below those that systems use for outgoing connections, so none is lost to a connection between choosing and listening.
var ports struct {
	sync.Mutex
	next int
}

const firstPort, lastPort = 10000, 32000

// freeAddr returns a loopback address that nobody listens on.
func freeAddr(t testing.TB) string {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	if ports.next == 0 {
		ports.next = firstPort + rand.IntN(lastPort-firstPort)
	}
	for range lastPort - firstPort {
		if ports.next++; ports.next >= lastPort {
			ports.next = firstPort
		}
		addr := fmt.Sprintf("127.0.0.1:%d", ports.next)
		l, err := net.Listen("tcp", addr)
		if err == nil {
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
