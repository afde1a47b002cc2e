package sqlitetest

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Small mounts a disk of so many bytes, until the test ends. Only root can: for others the test is skipped. Root in a container that lets nobody mount skips it too, but where
// CI is set, which fails it.
func Small(t testing.TB, bytes string) *Disk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a small disk")
	}
	d := &Disk{Dir: t.TempDir(), t: t}
	if err := syscall.Mount("none", d.Dir, "tmpfs", 0, "size="+bytes); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("mounting a small disk: %v", err)
		}
		t.Skipf("mounting a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(d.Dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return d
}

func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) }

func (d *Disk) filler() string { return filepath.Join(d.Dir, "filler") }
