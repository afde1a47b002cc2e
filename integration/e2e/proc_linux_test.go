package e2e

import (
	"os"
	"strconv"
	"syscall"
)

// diesWithParent has a process killed when the test's own is, by a time limit for example.
func diesWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// yields lets all other processes go first, as if this one were on another machine.
func yields() {
	threads, _ := os.ReadDir("/proc/self/task")
	for _, thread := range threads { // those to come inherit it
		if id, err := strconv.Atoi(thread.Name()); err == nil {
			_ = syscall.Setpriority(syscall.PRIO_PROCESS, id, 19)
		}
	}
}
