//go:build !linux

package transport

import "net"

// newLoopConn returns nil: this system has no event loop.
func newLoopConn(*net.TCPConn, *Options, Logic) Conn { return nil }

// Loops returns how many event loops the process has: none, on this system.
func Loops() (all, together int) { return 0, 0 }
