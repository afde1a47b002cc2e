//go:build !linux

package sqlitetest

import "testing"

// Small skips the test: this system mounts no small disk in memory.
func Small(t testing.TB, _ string) *Disk {
	t.Skip("this system mounts no small disk in memory")
	return nil
}

func isFull(error) bool { return false }

func (d *Disk) filler() string { return "" }
