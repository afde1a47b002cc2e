//go:build !linux

package main

import "syscall"

// dieWithParent: other systems have no such thing; an interrupt reaches the peers, too, where they are started from a terminal.
func dieWithParent() *syscall.SysProcAttr { return nil }
