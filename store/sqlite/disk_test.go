package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddy-gopr/caddy-gopr/store/sqlite/sqlitetest"
)

// TestOpenOnFullDisk: a file can be opened on a full disk, or the error says why not; and it can be when there is room.
func TestOpenOnFullDisk(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(t *testing.T, path string)
		rows int
		full bool // it can't be opened
	}{
		{"no file yet", func(*testing.T, string) {}, 0, true},
		{"a file that was closed", filled, 1000, true},
		{"a file and its log, as after a crash", func(t *testing.T, path string) {
			filled(t, path)
			other := filepath.Join(filepath.Dir(path), "other.db")
			if err := os.Rename(path, other); err != nil {
				t.Fatal(err)
			}
			f := mustOpen(t, other)
			defer mustClose(t, f)
			if err := f.Update(context.Background(), func(tx *Tx) error { return tx.Exec("DELETE FROM message WHERE id = 7") }); err != nil {
				t.Fatal(err)
			}
			for _, end := range []string{"", "-wal"} {
				b, err := os.ReadFile(other + end)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path+end, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}, 999, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			disk := sqlitetest.Small(t, "16m")
			path := filepath.Join(disk.Dir, "gopr.db")
			tt.make(t, path)
			disk.Fill()
			f, err := Open(path)
			if err == nil {
				mustClose(t, f)
			}
			t.Log(err)
			if (err != nil) != tt.full || err != nil && !errors.Is(err, ErrFull) {
				t.Errorf("on a full disk: %v, want ErrFull: %v", err, tt.full)
			}
			disk.Free()
			f = mustOpen(t, path)
			defer mustClose(t, f)
			var n int
			if err := f.Read.QueryRow("SELECT count(*) FROM message").Scan(&n); err != nil || n != tt.rows {
				t.Errorf("%d rows, %v, want %d", n, err, tt.rows)
			}
		})
	}
}
