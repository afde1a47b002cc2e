package upstream

import (
	"slices"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// What a ledger does not have, no answer belongs to; an answer that is not what was asked strikes out nothing.
func TestLedgersAndWrongAnswers(t *testing.T) {
	p := new(pooled)
	plain := func(cmd uint8) []byte { return wire.AppendFrame(nil, cmd, wire.FlagReq, []byte("x")) }
	answer := func(cmd uint32) *wire.Frame { return &wire.Frame{Cmd: cmd, Flag: uint32(wire.FlagRsp)} }
	// The link's own ids count up, and what is taken back gives none back: the first request's is 2.
	id := func(n uint16, cmd uint32) *wire.Frame {
		raw := numberedFrame(n, "x")
		return &wire.Frame{Cmd: cmd, Raw: raw, Payload: raw[4:]}
	}
	for _, tt := range []struct {
		name    string
		config  Config
		asks    []byte
		n       int
		answers []*wire.Frame
		want    []error
		left    int
	}{
		{"in order, twice", Config{}, plain(0x10), 1, []*wire.Frame{answer(0x10), answer(0x10)}, []error{nil, ErrUnasked}, 0},
		{"in order, any command", Config{}, plain(0x10), 1, []*wire.Frame{answer(0x20)}, []error{nil}, 0},
		{"strict, twice", Config{StrictAnswers: true}, plain(0x10), 1, []*wire.Frame{answer(0x10), answer(0x10)}, []error{nil, ErrUnasked}, 0},
		{
			"strict, another command",
			Config{StrictAnswers: true},
			slices.Concat(plain(0x10), plain(0x11)), 2,
			[]*wire.Frame{answer(0x10), answer(0x10), answer(0x11)},
			[]error{nil, ErrAnswerCommand, nil},
			0,
		},
		{"ids, twice", Config{Format: numbered}, numberedFrame(9, "x"), 1, []*wire.Frame{id(2, 0), id(2, 0)}, []error{nil, ErrUnasked}, 0},
		{"ids, none of ours", Config{Format: numbered}, numberedFrame(9, "x"), 1, []*wire.Frame{id(9, 0)}, []error{ErrUnasked}, 1},
		{"ids, strict, another command", Config{Format: numbered, StrictAnswers: true}, numberedFrame(9, "x"), 1, []*wire.Frame{id(2, 5)}, []error{ErrAnswerCommand}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.config.Backends, tt.config.Pooling, tt.config.MinLinks = []string{"a:1"}, Request, -1
			l := newGroup(t, tt.config).newLedger()
			if _, noted := l.enter(p, tt.asks, tt.n, time.Now()); noted != tt.n {
				t.Fatalf("%d noted, not %d", noted, tt.n)
			}
			l.undo()
			if n := l.open(); n != 0 {
				t.Fatalf("%d open after undo", n)
			}
			l.enter(p, tt.asks, tt.n, time.Now())
			for i, f := range tt.answers {
				by, _, err := l.answered(f)
				if err != tt.want[i] || (by == p) != (err == nil) {
					t.Errorf("answer %d: %v, %v, not %v", i, by == p, err, tt.want[i])
				}
			}
			if n := l.open(); n != tt.left {
				t.Errorf("%d open, not %d", n, tt.left)
			}
		})
	}
}
