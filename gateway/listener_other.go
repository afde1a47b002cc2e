//go:build !unix || solaris

package gateway

import "net"

// shareable does nothing: this system has no socket option for it.
func shareable(*net.ListenConfig) {}
