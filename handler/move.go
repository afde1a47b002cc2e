package handler

import (
	"time"

	"github.com/caddy-gopr/caddy-gopr/upstream"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// moving is what is left to do after a reload with other backends. A hold on a group that the new settings don't have is stale: it goes on as before until all that
// was asked over it is answered, so that no answer overtakes another, and then its frames go where the new settings say. A client that always has a request under
// way is not read from for a moment, once, so that there is such a point.
type moving struct {
	rests time.Time // reading rests until then, at the latest; zero: it does not
	look  time.Time // when to look again meanwhile
}

const (
	moveRest = time.Second
	moveLook = 10 * time.Millisecond
)

// reroute finds out which holds the newest settings make stale. old are the settings until now.
func (c *conn) reroute(old *settings, now time.Time) {
	holds, on := c.leases.all(), false
	for _, h := range holds {
		h.dialect.Store(&c.s.dialect)
		if h.stale == nil {
			h.stale = old
		}
		for _, t := range c.s.targets() {
			if t.group.same(&h.of.group) {
				h.of, h.stale = t, nil
				break
			}
		}
		on = on || h.stale != nil
	}
	c.moving = nil
	if on {
		c.moving = &moving{rests: now.Add(moveRest)}
		return
	}
	c.parting.Store(false)
	c.generation.set(otherUpstream, false)
	c.main()
}

// move ends the stale holds over which nothing is unanswered. What waits there for a link goes where the new settings say.
func (c *conn) move(now time.Time) {
	left, bound := 0, false
	for _, h := range c.leases.all() {
		switch {
		case h.stale == nil:
			continue
		case h.of.cfg.OnLoss == upstream.Close: // what it is to its backend, it would not be to another
			bound = true
		case !h.movable():
			left++
		default:
			if held, ok := h.lease.Withdraw(); ok {
				c.leases.drop(h)
				c.resend(h, held)
			} else {
				left++
			}
		}
	}
	if left > 0 && now.Before(c.moving.rests) {
		c.moving.look = now.Add(moveLook)
		return
	}
	c.parting.Store(left > 0)
	c.generation.set(otherUpstream, left > 0 || bound)
	switch {
	case left == 0 && !bound:
		c.moving = nil
		c.main()
	case left > 0 && c.leases.unanswered() == 0 && !c.leases.waiting(): // the last answer is just being written
		*c.moving = moving{look: now.Add(answerLook)}
	default:
		*c.moving = moving{}
	}
}

// resting says whether reading rests for a moment at which nothing is unanswered.
func (c *conn) resting(now time.Time) bool { return c.moving != nil && now.Before(c.moving.rests) }

// main takes the lease of the handler's own upstream, if there is none yet: what its backend sends unasked has where to go.
func (c *conn) main() {
	if c.s.upstream == nil || c.s.sessions != nil && !c.plain { // or nobody knows yet what it is, or its session has a lease of its own
		return
	}
	if _, err := c.leases.of(c, c.s.upstream); err != nil {
		c.end(endingOf(err))
	}
}

// movable says whether what waits can go elsewhere as it is: what is translated is in the old backend's words.
func (h *hold) movable() bool { return h.to.translator == nil || !h.lease.Waiting() }

// resend puts frames that waited for a link to where they belong now.
func (c *conn) resend(from *hold, held []byte) {
	var f wire.Frame
	for used := 0; used < len(held); {
		n, err := from.stale.dec.Next(held[used:], &f)
		if err != nil { // they were accepted by later settings
			n, err = c.s.dec.Next(held[used:], &f)
		}
		if err == nil {
			err = c.resendOne(held, used, used+n, &f)
		}
		if err != nil {
			c.end(ending{reasonUpstream, err})
			return
		}
		used += n
	}
	c.forward()
}

func (c *conn) resendOne(held []byte, start, end int, f *wire.Frame) error {
	h, err := c.holdFor(f)
	switch {
	case err != nil:
		return err
	case h == nil && c.s.echo:
		p := piece{}
		c.echo(&p, f)
		c.answer(&p)
		return nil
	case h == nil:
		return c.s.notAllowed(f)
	case h.to.translator != nil:
		return h.translate(f)
	}
	h.pass(held, start, end, f)
	return nil
}

// holdFor returns where an application frame goes; nil: to no backend.
func (c *conn) holdFor(f *wire.Frame) (*hold, error) {
	if c.moving != nil {
		for _, h := range c.leases.all() {
			if h.stale != nil && h.stale.route(f.Cmd) == h.of {
				return h, nil
			}
		}
	}
	to := c.s.route(f.Cmd)
	if to == nil {
		return nil, nil
	}
	return c.leases.of(c, to)
}

// same says whether it is the same group of backends, also of another configuration.
func (g *group) same(as *group) bool {
	return g.handler == as.handler && g.name == as.name && g.key == as.key
}
