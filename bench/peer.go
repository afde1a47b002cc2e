package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// peer is a process that is measured, and the address it listens on.
type peer struct {
	name, addr string
	cmd        *exec.Cmd
	frees      func(*peer) // has it give back unused memory; nil: it has no garbage
	control    string      // the socket of its admin endpoint, where it has one
}

// fleet is all processes that were started and have not ended.
type fleet struct{ peers []*peer }

// launch starts a peer, and returns when it takes connections.
func (f *fleet) launch(ctx context.Context, name, addr, home string, cmd *exec.Cmd) (*peer, error) {
	logs, err := os.Create(filepath.Join(home, strings.ReplaceAll(name, " ", "-")+".log"))
	if err != nil {
		return nil, err
	}
	defer logs.Close()
	cmd.Stdout, cmd.Stderr = logs, logs
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home)
	cmd.SysProcAttr = dieWithParent()
	manyDescriptors(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p := &peer{name: name, addr: addr, cmd: cmd}
	f.peers = append(f.peers, p)
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		if nc, err := net.Dial("tcp", addr); err == nil {
			return p, nc.Close()
		}
	}
	said, _ := os.ReadFile(logs.Name())
	return nil, fmt.Errorf("%s does not listen on %s; it says:\n%s", name, addr, said)
}

// manyDescriptors has a process begin with as many descriptors as it may have: Go's programs see to that themselves, others do not.
func manyDescriptors(cmd *exec.Cmd) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		return
	}
	cmd.Args = append([]string{shell, "-c", `ulimit -n "$(ulimit -Hn)" 2>/dev/null; exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = shell
}

func (p *peer) pid() int { return p.cmd.Process.Pid }

// stop ends the process, politely at first.
func (p *peer) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(3*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	_ = p.cmd.Wait()
}

// stop ends all that is left.
func (f *fleet) stop() {
	for _, p := range f.peers {
		p.stop()
	}
	f.peers = nil
}

// cpuTime is the processor time of this program, of all that it started, and of those that have ended.
func (f *fleet) cpuTime() time.Duration {
	sum := cpuTime(os.Getpid())
	for _, p := range f.peers {
		sum += cpuTime(p.pid())
	}
	return sum
}

// freeAddr is a loopback address that nobody listens on.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// tick is the unit of processor time in /proc: USER_HZ is 100 on every Linux that Go runs on.
const tick = time.Second / 100

// cpuTime is the processor time that a process and its children that have ended used so far; 0 where /proc does not tell.
func cpuTime(pid int) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), ") ") // behind the name, which may have spaces
	fields := strings.Fields(rest)
	var sum int64
	for i := 11; i < 15 && i < len(fields); i++ {
		var n int64
		_, _ = fmt.Sscan(fields[i], &n)
		sum += n
	}
	return time.Duration(sum) * tick
}

// busy is the processor time of the whole machine so far.
func busy() time.Duration {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	var sum int64
	for i, f := range strings.Fields(line) {
		var n int64
		if i == 1 || i == 2 || i == 3 || i == 6 || i == 7 || i == 8 { // user, nice, system, irq, softirq, steal
			_, _ = fmt.Sscan(f, &n)
		}
		sum += n
	}
	return time.Duration(sum) * tick
}

// resident is the memory that a process holds, in bytes; 0 where /proc does not tell.
func resident(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	var size, pages int64
	_, _ = fmt.Sscan(string(b), &size, &pages)
	return pages * int64(os.Getpagesize())
}
