//go:build !linux

package transport

import "net"

// newLoopConn returns nil: this system has no event loop.
func newLoopConn(*net.TCPConn, *Options, Logic) Conn { return nil }
