package recipes

import "syscall"

// diesWithParent has a process killed when the test's own is, by a time limit for example.
func diesWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
