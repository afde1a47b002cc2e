package upstream

import (
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// commandsInOrder is inOrderOf where an answer must have the command of its request. Each request has an entry of its own.
type commandsInOrder struct {
	inOrderOf
	g    *Group
	last int // how many the last enter noted
}

func (o *commandsInOrder) enter(by *pooled, frames []byte, _ int, now time.Time) ([]byte, int) {
	o.last = 0
	var f wire.Frame
	for rest := frames; o.g.nextAsk(&rest, &f); o.last++ {
		o.push(asking{by: by, n: 1, at: now, cmd: f.Cmd})
	}
	return frames, o.last
}

func (o *commandsInOrder) undo() {
	for ; o.last > 0; o.last-- {
		o.unpush()
	}
}

func (o *commandsInOrder) answered(f *wire.Frame) (by *pooled, at time.Time, err error) {
	if o.len() > 0 && o.at(0).cmd != f.Cmd {
		return nil, at, ErrAnswerCommand
	}
	return o.inOrderOf.answered(f)
}

// nextAsk goes on to the next frame of a client's that asks. false: there is none.
func (g *Group) nextAsk(rest *[]byte, f *wire.Frame) bool {
	for len(*rest) > 0 {
		n, err := g.asks.Next(*rest, f)
		if n == 0 || err != nil {
			return false // not from a handler: it has read these frames itself
		}
		*rest = (*rest)[n:]
		if !g.paired || g.cfg.Format.Asks(f) {
			return true
		}
	}
	return false
}
