//go:build !linux

package recipes

import "syscall"

func diesWithParent() *syscall.SysProcAttr { return nil }
