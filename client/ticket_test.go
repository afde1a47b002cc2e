package client

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTicketFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ticket")
	f := TicketFile(path)
	if got, err := f.Load(t.Context()); err != nil || got.Token != nil {
		t.Fatalf("of no file: %+v, %v", got, err)
	}
	for _, want := range []Ticket{{Token: []byte{0, 255, 7}, Up: 1<<64 - 1, Down: 3}, {}} {
		if err := f.Save(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		got, err := TicketFile(path).Load(t.Context())
		if err != nil || !bytes.Equal(got.Token, want.Token) || got.Up != want.Up || got.Down != want.Down {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("%d files", len(entries))
	}
}

func TestTicketFileDamaged(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"empty": "", "half": `{"token":"AAA`, "other": `{"colour":"red"}`, "long": strings.Repeat(" ", 5000),
		"token": `{"token":"` + strings.Repeat("AAAA", 100) + `"}`,
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := New("127.0.0.1:1", Options{Session: &SessionOptions{ClientID: "device", Tickets: TicketFile(path)}})
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "remove it") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := TicketFile(filepath.Join(dir, "no such directory", "x")).Save(t.Context(), Ticket{}); err == nil {
		t.Error("saved where there is no directory")
	}
}
