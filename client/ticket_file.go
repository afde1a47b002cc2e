package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// TicketFile is a [TicketStore] in the file at path, which need not exist. The file is its owner's alone to read, for who has it can take the session. It is replaced
// by renaming, and synced, so a crash or a power cut leaves either the old or the new one.
func TicketFile(path string) TicketStore { return ticketFile(path) }

type ticketFile string

// ticketLimit is more than a ticket ever takes: a token of 255 bytes, and two numbers.
const ticketLimit = 4 << 10

func (f ticketFile) Load(context.Context) (t Ticket, err error) {
	b, err := os.ReadFile(string(f))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Ticket{}, nil
	case err != nil:
		return Ticket{}, err
	case len(b) > ticketLimit:
		return Ticket{}, f.damaged(fmt.Errorf("%d bytes long", len(b)))
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&t); err != nil {
		return Ticket{}, f.damaged(err)
	}
	if len(t.Token) > 255 {
		return Ticket{}, f.damaged(fmt.Errorf("a token of %d bytes", len(t.Token)))
	}
	return t, nil
}

func (f ticketFile) damaged(err error) error {
	return fmt.Errorf("%s is no session ticket: %w; remove it to begin a new session", string(f), err)
}

func (f ticketFile) Save(_ context.Context, t Ticket) error {
	b, err := json.Marshal(t)
	if err != nil {
		return err
	}
	dir := filepath.Dir(string(f))
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(string(f))+"-*") // its mode is 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // nothing is there once it is renamed
	_, err = tmp.Write(append(b, '\n'))
	if err == nil {
		err = tmp.Sync()
	}
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp.Name(), string(f))
	}
	if err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a rename in a directory safe. Systems that cannot sync a directory do it by themselves.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}
