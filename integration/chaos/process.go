package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// A process is a child that can be killed and started again, with the same arguments. Its methods may be called from any goroutine.
type process struct {
	name string
	dir  string // its home; what it prints goes to a file there
	argv []string

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{}
}

// start runs it.
func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	out, err := os.OpenFile(p.output(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(p.argv[0], p.argv[1:]...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "HOME="+p.dir, "XDG_DATA_HOME="+p.dir, "XDG_CONFIG_HOME="+p.dir)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = endsWithParent()
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	p.cmd, p.exited = cmd, exited
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	return nil
}

func (p *process) output() string { return filepath.Join(p.dir, p.name+".log") }

// kill ends it as power or the kernel would, and returns when it is gone. It also ends one that is paused.
func (p *process) kill() {
	if cmd, exited := p.running(); cmd != nil {
		_ = cmd.Process.Kill()
		<-exited
	}
}

func (p *process) running() (*exec.Cmd, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd, p.exited
}

// gone says whether the process has ended; nobody expects it to, but by kill and stop.
func (p *process) gone() bool {
	_, exited := p.running()
	select {
	case <-exited:
		return true
	default:
		return false
	}
}

func (p *process) pause() error {
	cmd, _ := p.running()
	return pause(cmd.Process)
}

func (p *process) carryOn() error {
	cmd, _ := p.running()
	return carryOn(cmd.Process)
}

// pid is 0 before it was started.
func (p *process) pid() int {
	cmd, _ := p.running()
	if cmd == nil {
		return 0
	}
	return cmd.Process.Pid
}

// patience is how long anything may take that should happen at all.
const patience = 30 * time.Second

// await waits until it listens.
func (p *process) await(addr string) error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if p.gone() {
			break
		}
		if nc, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			return nc.Close()
		}
	}
	return fmt.Errorf("%s does not listen on %s: see %s", p.name, addr, p.output())
}

// ports are given out from below those that systems use for outgoing connections: so none is lost to a connection between choosing and listening.
var ports = struct {
	sync.Mutex
	next int
}{next: 11000 + rand.IntN(18000)}

// freeAddr returns a loopback address that nobody listens on.
func freeAddr() (string, error) {
	ports.Lock()
	defer ports.Unlock()
	for range 2000 {
		ports.next++
		addr := fmt.Sprintf("127.0.0.1:%d", ports.next)
		if l, err := net.Listen("tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", fmt.Errorf("no port below %d is free", ports.next)
}
