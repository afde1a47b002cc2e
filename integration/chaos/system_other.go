//go:build !linux

package main

import (
	"errors"
	"os"
	"syscall"
)

var errSystem = errors.New("chaos needs Linux: it pauses processes, and has them end with it")

func endsWithParent() *syscall.SysProcAttr { return nil }
func pause(*os.Process) error              { return errSystem }
func carryOn(*os.Process) error            { return errSystem }
func lock(*os.File) error                  { return errSystem }
func unlock(*os.File) error                { return errSystem }
