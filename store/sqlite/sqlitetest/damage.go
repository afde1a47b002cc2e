package sqlitetest

import (
	"bytes"
	"os"
	"testing"
)

const pageSize = 4096

// Damage overwrites the pages of a file from one on with what nobody wrote there, as a disk or another program does. The file's first page is 0.
func Damage(t testing.TB, path string, from int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() <= from*pageSize {
		t.Fatalf("%s has only %d bytes: nothing to damage", path, info.Size())
	}
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xa5}, int(info.Size()-from*pageSize)), from*pageSize); err != nil {
		t.Fatal(err)
	}
}
