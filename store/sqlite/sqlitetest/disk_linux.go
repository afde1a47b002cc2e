package sqlitetest

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Small mounts a disk of so many bytes, until the test ends. Only root can, and not in each container: where nobody may, the test is skipped, also where CI is set, for nothing
// that can be installed would help.
func Small(t testing.TB, bytes string) *Disk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a small disk")
	}
	d := &Disk{Dir: t.TempDir(), t: t}
	if err := syscall.Mount("none", d.Dir, "tmpfs", 0, "size="+bytes); err != nil {
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
			t.Skipf("mounting a small disk: %v", err)
		}
		t.Fatalf("mounting a small disk: %v", err)
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
