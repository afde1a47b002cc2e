// Package sqlitetest brings a file and its disk into trouble, for tests.
//
//	disk.go    a disk that is full; disk_linux.go, disk_other.go: how there is one
//	damage.go  a file that is damaged
package sqlitetest

import (
	"os"
	"testing"
)

// Disk is a small disk, on which nothing else is.
type Disk struct {
	Dir string // where it is
	t   testing.TB
}

// Fill uses up what room is left.
func (d *Disk) Fill() {
	d.t.Helper()
	f, err := os.OpenFile(d.filler(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !isFull(err) {
		d.t.Fatal(err)
	}
}

// Free gives the room back that Fill has used.
func (d *Disk) Free() {
	d.t.Helper()
	if err := os.Remove(d.filler()); err != nil {
		d.t.Fatal(err)
	}
}
