package main

import (
	"os"
	"syscall"
)

// endsWithParent has a child end with this program, whatever ends that.
func endsWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// pause stops a process where it stands; carryOn lets it run again.
func pause(p *os.Process) error   { return p.Signal(syscall.SIGSTOP) }
func carryOn(p *os.Process) error { return p.Signal(syscall.SIGCONT) }

// lock takes the file for this process alone. It ends with the process, however that ends.
func lock(f *os.File) error   { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX) }
func unlock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
