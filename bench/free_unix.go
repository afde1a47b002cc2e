//go:build unix

package main

import (
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// askToFree asks a peer that is one of ours to give back the memory it does not use.
func askToFree(p *peer) { _ = p.cmd.Process.Signal(syscall.SIGUSR2) }

// freeOnSignal has this process do so when it is asked.
func freeOnSignal() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR2)
	go func() {
		for range c {
			debug.FreeOSMemory()
		}
	}()
}
