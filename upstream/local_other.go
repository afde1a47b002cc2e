//go:build !linux

package upstream

import "syscall"

func lateLocalPort(string, string, syscall.RawConn) error { return nil }
