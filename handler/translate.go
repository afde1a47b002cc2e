package handler

import (
	"fmt"
	"sync/atomic"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// translation puts the frames of one format into another, field by field: command, flag, id and payload are carried over; version, length and checksum are the
// other format's own.
type translation struct {
	from, to *wire.Format
	dir      wire.Direction // who sends the frames: it decides about the magic, where a format has two

	version uint32
	noFlag  bool // the other format has no flag field: flags are left out
	noCmd   bool // or no command
	ids     bool // both formats have an id

	// What asks, or answers, is said anew where the other format says it by flags: the bits of both formats are cleared, and mark is set in those that do.
	says  bool // the source format says it, too
	clear uint32
	mark  uint32
}

// translate prepares the way from one format to the other.
func translate(from, to *wire.Format, dir wire.Direction) translation {
	l := to.Layout()
	t := translation{from: from, to: to, dir: dir, noFlag: l.Flag.Size == 0, noCmd: l.Cmd.Size == 0, ids: from.HasID() && to.HasID()}
	if len(l.Versions) > 0 {
		t.version = l.Versions[0]
	}
	said, say := from.Layout().Asks, l.Asks
	if dir == wire.FromServer {
		said, say = from.Layout().Answers, l.Answers
	}
	t.says = from.HasPairing()
	if to.HasPairing() && say.Flag != nil {
		t.mark = say.Flag.Value
		if t.says {
			t.clear = t.mark
			if said.Flag != nil && said.Flag.Mask != 0 {
				t.clear |= said.Flag.Value
			}
		}
	}
	return t
}

// append appends the frame in the other format. marked: it asks, or answers, where the frame's own format can't say so.
func (t *translation) append(dst []byte, f *wire.Frame, marked bool) ([]byte, wire.Frame, error) {
	cmd, flag := f.Cmd, f.Flag
	if t.noCmd {
		cmd = 0
	}
	switch {
	case !t.says:
	case t.dir == wire.FromServer:
		marked = t.from.Answers(f)
	default:
		marked = t.from.Asks(f)
	}
	flag &^= t.clear
	if t.noFlag {
		flag = 0
	}
	if marked {
		flag |= t.mark
	}
	start := len(dst)
	b, err := t.to.AppendFrom(dst, t.dir, t.version, cmd, flag, f.Payload)
	if err != nil {
		return dst, wire.Frame{}, fmt.Errorf("frame can't be said in the format %s: %w", t.to.Name(), err)
	}
	out := wire.Frame{Version: t.version, Cmd: cmd, Flag: flag, Payload: f.Payload, Raw: b[start:]}
	if t.ids {
		if id, ok := t.from.ID(f); ok && !t.to.SetID(out.Raw, id) {
			return dst, wire.Frame{}, fmt.Errorf("frame can't be said in the format %s: there is no place for the id %d in it", t.to.Name(), id)
		}
	}
	return b, out, nil
}

// heartbeat says that a frame of the application would be a heartbeat in the other format, whose peer would answer it instead of passing it on.
func (t *translation) heartbeat(f *wire.Frame) error {
	return fmt.Errorf("frame can't be said in the format %s: with command 0x%02X and flag 0x%02X it would be a heartbeat", t.to.Name(), f.Cmd, f.Flag)
}

// translator is both ways of a handler whose backends speak another format than its clients.
type translator struct {
	up, down translation
	dec      *wire.Decoder // of the backend's frames
}

func newTranslator(clients, backends *wire.Format) (*translator, error) {
	if clients.HasID() && !backends.HasID() {
		return nil, fmt.Errorf("format %s: requests of the format %s have an id, which %s has no place for, so their answers could not be told apart: take formats that both have one, or neither",
			backends.Name(), clients.Name(), backends.Name())
	}
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

// untranslatable is a client's frame that can't be said in the backend's format.
type untranslatable struct {
	reject wire.RejectError
	why    error
}

func (e *untranslatable) Error() string { return e.why.Error() }

func (e *untranslatable) As(target any) bool {
	r, ok := target.(**wire.RejectError)
	if ok {
		*r = &e.reject
	}
	return ok
}
