package handler

import (
	"fmt"
	"sync/atomic"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// translation puts the frames of one format into another, field by field: command, flag and payload are carried over, version, length and checksum are the
// other format's own.
type translation struct {
	to   *wire.Format
	from wire.Direction // who sends the frames: it decides about the magic, where a format has two

	version uint32
	noFlag  bool   // the other format has no flag field: flags are left out
	noCmd   bool   // or no command
	mark    uint32 // flag bits that say what the source format can't: that a frame asks, or answers
}

// translate prepares the way from one format to the other. mark is what the other format needs and the one does not know: wire.Match of frames that ask, or
// that answer.
func translate(from, to *wire.Format, dir wire.Direction) translation {
	l := to.Layout()
	t := translation{to: to, from: dir, noFlag: l.Flag.Size == 0, noCmd: l.Cmd.Size == 0}
	if len(l.Versions) > 0 {
		t.version = l.Versions[0]
	}
	m := l.Asks
	if dir == wire.FromServer {
		m = l.Answers
	}
	if !from.HasPairing() && to.HasPairing() && m.Flag != nil {
		t.mark = m.Flag.Value
	}
	return t
}

// append appends the frame in the other format. marked: it asks, or answers, where only the other format can say so.
func (t *translation) append(dst []byte, f *wire.Frame, marked bool) ([]byte, error) {
	cmd, flag := f.Cmd, f.Flag
	if t.noCmd {
		cmd = 0
	}
	if t.noFlag {
		flag = 0
	}
	if marked {
		flag |= t.mark
	}
	b, err := t.to.AppendFrom(dst, t.from, t.version, cmd, flag, f.Payload)
	if err != nil {
		return dst, fmt.Errorf("frame can't be said in the format %s: %w", t.to.Name(), err)
	}
	return b, nil
}

// translator is both ways of a handler whose backends speak another format than its clients.
type translator struct {
	up, down translation
	dec      *wire.Decoder // of the backend's frames
}

func newTranslator(clients, backends *wire.Format) (*translator, error) {
	dec, err := backends.NewDecoder(wire.Rules{From: wire.FromServer})
	if err != nil {
		return nil, err
	}
	return &translator{
		up: translate(clients, backends, wire.FromClient), down: translate(backends, clients, wire.FromServer), dec: dec,
	}, nil
}

// debts counts what a client asked, where the backend's frames don't say that they answer.
type debts struct{ n atomic.Int64 }

func (d *debts) take() bool {
	for {
		n := d.n.Load()
		if n == 0 {
			return false
		}
		if d.n.CompareAndSwap(n, n-1) {
			return true
		}
	}
}
