package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestLogDamaged: a log that is damaged before transactions that were safe is not taken for one that a crash has left; nor the other way round.
func TestLogDamaged(t *testing.T) {
	// What a crash leaves: a file and a log, with a transaction of several pages for each of some messages.
	dir := t.TempDir()
	original := filepath.Join(dir, "gopr.db")
	f := mustOpen(t, original)
	const transactions = 20
	ends := make([]int64, 0, transactions) // of each in the log
	for id := range int64(transactions) {
		err := f.Update(context.Background(), func(tx *Tx) error {
			return tx.Exec("INSERT INTO message VALUES (1, ?, 0, 0, 0, 0, 0, 0, 0, ?)", id, make([]byte, 3*pageSize))
		})
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(original + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, info.Size())
	}
	files := make(map[string][]byte)
	for _, end := range []string{"", "-wal"} {
		b, err := os.ReadFile(original + end)
		if err != nil {
			t.Fatal(err)
		}
		files[end] = b
	}
	mustClose(t, f)

	last := ends[transactions-2] // where the last transaction begins
	for _, tt := range []struct {
		name    string
		spoil   func(log []byte) []byte
		damaged bool
		rows    int
	}{
		{"a crash", func(log []byte) []byte { return log }, false, transactions},
		{"a crash within the last transaction", func(log []byte) []byte { return log[:last+pageSize+100] }, false, transactions - 1},
		{"the last transaction was not wholly written", func(log []byte) []byte { clear(log[last+100 : last+200]); return log }, false, transactions - 1},
		{"no log", func([]byte) []byte { return nil }, false, 0},
		{"only a header", func(log []byte) []byte { return log[:logHeaderSize] }, false, 0},
		{"a bit in the middle", func(log []byte) []byte { log[ends[9]+5000] ^= 1; return log }, true, 0},
		{"a bit in the last transaction but one", func(log []byte) []byte { log[ends[transactions-3]+5000] ^= 1; return log }, true, 0},
		{"a page in the middle", func(log []byte) []byte { clear(log[ends[9] : ends[9]+pageSize]); return log }, true, 0},
		{"the header", func(log []byte) []byte { log[17] ^= 1; return log }, true, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "gopr.db")
			for end, b := range files {
				b = append([]byte(nil), b...)
				if end == "-wal" {
					b = tt.spoil(b)
				}
				if err := os.WriteFile(path+end, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 { // it stays as it is
				f, err := Open(path)
				if errors.Is(err, errLogDamaged) != tt.damaged {
					t.Fatalf("got %v, want it to say that the log is damaged: %v", err, tt.damaged)
				}
				if err != nil {
					continue
				}
				var n int
				if err := f.Read.QueryRow("SELECT count(*) FROM message").Scan(&n); err != nil || n != tt.rows {
					t.Errorf("%d messages, %v, want %d", n, err, tt.rows)
				}
				mustClose(t, f)
			}
			if tt.damaged {
				scripted(t, path, "PRAGMA wal_checkpoint(TRUNCATE)") // as the error says
				mustClose(t, mustOpen(t, path))
			}
		})
	}
}
