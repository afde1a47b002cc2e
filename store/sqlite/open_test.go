package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mustOpen(t *testing.T, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func mustClose(t *testing.T, f *File) {
	t.Helper()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// scripted carries out statements in a file that is not open.
func scripted(t *testing.T, path, script string) {
	t.Helper()
	c, err := connect(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := newTx(c).script(script); err != nil {
		t.Fatal(err)
	}
}

// filled makes a file of some size.
func filled(t *testing.T, path string) {
	t.Helper()
	f := mustOpen(t, path)
	defer mustClose(t, f)
	payload := bytes.Repeat([]byte("x"), 1000)
	err := f.Update(context.Background(), func(tx *Tx) error {
		for id := range int64(1000) {
			if err := tx.Exec("INSERT INTO message VALUES (1, ?, 0, 0, 0, 0, 0, 0, 0, ?)", id, payload); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestOpenRefuses: what can't be opened says what it is, and what to do.
func TestOpenRefuses(t *testing.T) {
	tests := []struct {
		name string
		make func(t *testing.T, path string)
		want string
	}{
		{"a database of something else", func(t *testing.T, path string) { scripted(t, path, "CREATE TABLE guests (name TEXT)") }, "not a store of caddy-gopr: give another path"},
		{"another version of something else", func(t *testing.T, path string) { scripted(t, path, "PRAGMA user_version = 3") }, "not a store of caddy-gopr"},
		{"a file of a newer version", func(t *testing.T, path string) {
			filled(t, path)
			scripted(t, path, "PRAGMA user_version = 99")
		}, "a newer version of caddy-gopr wrote this file (schema 99, this one knows 1)"},
		{"no database", func(t *testing.T, path string) {
			if err := os.WriteFile(path, bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "the file is damaged: stop, move it away"},
		{"a damaged page", func(t *testing.T, path string) {
			filled(t, path)
			damage(t, path, 40*pageSize, bytes.Repeat([]byte{0xa5}, 8*pageSize))
		}, "the file is damaged"},
		{"a truncated file", func(t *testing.T, path string) {
			filled(t, path)
			if err := os.Truncate(path, 20*pageSize); err != nil {
				t.Fatal(err)
			}
		}, "the file is damaged"},
		{"a directory", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "gopr.db"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "gopr.db")
			tt.make(t, path)
			for range 2 { // it stays as it is
				f, err := Open(path)
				if err == nil {
					mustClose(t, f)
					t.Fatal("opened")
				}
				if !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "gopr.db") {
					t.Fatalf("got %q, want %q in it", err, tt.want)
				}
			}
		})
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none", "gopr.db")); err == nil || !strings.Contains(err.Error(), "the directory of a store must exist") {
		t.Errorf("in no directory: %v", err)
	}
}

func damage(t *testing.T, path string, at int64, with []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(with, at); err != nil {
		t.Fatal(err)
	}
}

// TestInUse: a file that somebody else has is refused, until he ends.
func TestInUse(t *testing.T) {
	defer func(ms int) { busyTimeout = ms }(busyTimeout)
	busyTimeout = 20
	path := filepath.Join(t.TempDir(), "gopr.db")
	other, err := lock(path) // to SQLite, a connection of another process is no other than one of this
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, errInUse) {
		t.Errorf("got %v, want %v", err, errInUse)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	mustClose(t, mustOpen(t, path))
}

// TestShared: who opens a file by another name gets the same.
func TestShared(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "gopr.db"), filepath.Join(dir, "link.db")
	one := mustOpen(t, path)
	two := mustOpen(t, filepath.Join(dir, ".", "gopr.db"))
	if one != two {
		t.Error("the same path is another file")
	}
	if err := os.Symlink(path, link); err == nil {
		three := mustOpen(t, link)
		if three != one {
			t.Error("a link to it is another file")
		}
		mustClose(t, three)
	}
	mustClose(t, one)
	if err := two.Update(context.Background(), func(tx *Tx) error { return tx.Exec("UPDATE fence SET last = 7") }); err != nil {
		t.Errorf("after one of two has closed it: %v", err)
	}
	mustClose(t, two)
	if err := two.Do(&update{}, false); !errors.Is(err, ErrClosed) {
		t.Errorf("after both have: %v", err)
	}
	// What was written is there.
	again := mustOpen(t, path)
	defer mustClose(t, again)
	var last int64
	if err := again.Read.QueryRow("SELECT last FROM fence").Scan(&last); err != nil || last != 7 {
		t.Errorf("last %d, %v", last, err)
	}
}

// TestSettings holds the file to what the documentation promises.
func TestSettings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a name with spaces, ? and %41.db")
	f := mustOpen(t, path)
	defer mustClose(t, f)
	err := f.Update(context.Background(), func(tx *Tx) error {
		for name, want := range map[string]driver.Value{
			"journal_mode": "wal", "synchronous": int64(2), "auto_vacuum": int64(2), "application_id": int64(applicationID), "user_version": int64(len(steps)), "page_size": int64(pageSize),
			"wal_autocheckpoint": int64(checkpointPages), "journal_size_limit": int64(checkpointPages * pageSize),
		} {
			if err := tx.Query("PRAGMA "+name, func(row []driver.Value) error {
				if row[0] != want {
					t.Errorf("%s: got %v, want %v", name, row[0], want)
				}
				return nil
			}); err != nil {
				return err
			}
		}
		return tx.Exec("UPDATE fence SET last = 1")
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Read.Exec("UPDATE fence SET last = 2"); err == nil {
		t.Error("a reader writes")
	}
	if runtime.GOOS == "windows" {
		return // has no such modes
	}
	all, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil || len(all) < 3 {
		t.Fatalf("files: %v, %v", all, err)
	}
	for _, name := range all {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm()&0o077 != 0 && !strings.HasSuffix(name, ".lock") {
			t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
		}
	}
}

// TestMigrate: a file of an older version becomes one of this, and keeps what is in it; a step that fails leaves the file as it was.
func TestMigrate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gopr.db")
	filled(t, path)
	released := steps
	defer func() { steps = released }()

	steps = append(released[:len(released):len(released)], "ALTER TABLE message ADD COLUMN topic TEXT; ALTER TABLE nothing ADD COLUMN x TEXT")
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "making schema 2 of it") {
		t.Fatalf("a step that fails: %v", err)
	}
	steps = append(released[:len(released):len(released)], "ALTER TABLE message ADD COLUMN topic TEXT")
	for range 2 {
		f := mustOpen(t, path)
		var n, version int
		if err := f.Read.QueryRow("SELECT count(*) FROM message WHERE topic IS NULL").Scan(&n); err != nil || n != 1000 {
			t.Errorf("%d messages, %v", n, err)
		}
		if err := f.Read.QueryRow("PRAGMA user_version").Scan(&version); err != nil || version != 2 {
			t.Errorf("version %d, %v", version, err)
		}
		mustClose(t, f)
	}
}
