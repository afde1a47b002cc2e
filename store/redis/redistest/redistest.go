// Package redistest starts real Redis servers for tests.
package redistest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Server is a redis-server of the test's own. It ends with the test.
type Server struct {
	URL    string
	Port   int
	Socket string // a Unix one

	Replica *Server // of a master that Sentinel has started

	t    testing.TB
	dir  string
	args []string

	mu  sync.Mutex
	cmd *exec.Cmd
}

// Start starts a server with some settings, as on its command line: "--appendonly", "yes". Nothing is written to the disk unless they say so. A machine without Redis skips
// the test, but where CI is set, which fails it.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	Need(t, "redis-server")
	port := Port(t)
	dir := t.TempDir()
	s := &Server{URL: fmt.Sprintf("redis://127.0.0.1:%d/0", port), Port: port, Socket: filepath.Join(dir, "s"), t: t, dir: dir}
	s.args = append([]string{
		"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir, "--save", "", "--repl-diskless-sync-delay", "0", "--loglevel", "warning", "--enable-debug-command", "yes",
		"--unixsocket", s.Socket, "--logfile", filepath.Join(dir, "log"),
	}, settings...)
	s.Run()
	t.Cleanup(s.Kill)
	return s
}

// Need skips or fails the test where a program is not there.
func Need(t testing.TB, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed (apt-get install redis-server)", program)
		}
		t.Skipf("%s is not installed (apt-get install redis-server)", program)
	}
}

// Port returns a port that nobody listens on. It is below those that systems use for outgoing connections: so none of these takes it before the server does, or while that
// is away.
func Port(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 10000 + rand.IntN(22000)
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// Run starts the server again, after Kill; on what it had written to its disk.
func (s *Server) Run() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cmd = exec.Command("redis-server", s.args...)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); !s.answers(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			s.t.Fatalf("redis-server does not answer: %s", log)
		}
	}
}

func (s *Server) answers() bool {
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.Port))
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	answer := make([]byte, 64)
	n, _ := c.Read(answer)
	return bytes.HasPrefix(answer[:n], []byte("+PONG")) || bytes.HasPrefix(answer[:n], []byte("-NOAUTH"))
}

// Kill ends the server as kill -9 does.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// Stop has the server do nothing until the returned function is called: it is there, and does not answer.
func (s *Server) Stop() (goOn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stopSignal == nil {
		s.t.Skip("this system stops no process")
	}
	_ = s.cmd.Process.Signal(stopSignal)
	process := s.cmd.Process
	return func() { _ = process.Signal(continueSignal) }
}
