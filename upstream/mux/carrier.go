package mux

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/hashicorp/yamux"
)

// carrier is one connection, and the streams on it.
type carrier struct {
	ready   chan struct{}  // closed when it has been dialled, or could not be
	session *yamux.Session // nil where it could not
	err     error          // why

	// The pool's lock guards these.
	streams int         // open, or being opened
	idle    *time.Timer // ends it when it has carried none for so long; nil: it carries some
}

// errLeaving: the connection takes no more streams, for no fault of the server's: it has said so, or has ended.
var errLeaving = errors.New("connection takes no more streams")

// dial makes a carrier's connection, and has the pool forget it when it ends.
func (p *Pool) dial(ctx context.Context, c *carrier) {
	nc, err := p.cfg.Dial(ctx)
	if err == nil {
		c.session, err = yamux.Client(joined(nc), p.yamux)
	}
	c.err = err
	close(c.ready)
	if err != nil {
		p.forget(c)
		p.wg.Done()
		return
	}
	p.mu.Lock()
	closed := p.closed
	p.mu.Unlock()
	if closed {
		_ = c.session.Close()
	}
	go func() {
		defer p.wg.Done()
		<-c.session.CloseChan()
		p.forget(c)
		_ = c.session.Close() // waits for its goroutines
	}()
}

// end closes it, with all its streams.
func (c *carrier) end() {
	select {
	case <-c.ready:
		if c.session != nil {
			_ = c.session.Close()
		}
	default: // dial will see that the pool is closed
	}
}

// forget takes a carrier out of the pool.
func (p *Pool) forget(c *carrier) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(c)
	delete(p.leaving, c)
	if c.idle != nil {
		c.idle.Stop()
		c.idle = nil
	}
}

// drop has a carrier take no more streams. p.mu is held.
func (p *Pool) drop(c *carrier) (was bool) {
	i := slices.Index(p.carriers, c)
	if i >= 0 {
		p.carriers = slices.Delete(p.carriers, i, i+1)
	}
	return i >= 0
}

// openOn opens a stream on a carrier, when that is ready.
func (p *Pool) openOn(ctx context.Context, c *carrier) (net.Conn, error) {
	select {
	case <-c.ready:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if c.err != nil {
		return nil, c.err
	}
	done := make(chan opened, 1)
	go func() { // it may wait: for the server to accept streams that were opened before, or to read
		s, err := c.session.OpenStream()
		done <- opened{s, err}
	}()
	select {
	case o := <-done:
		return p.take(c, o)
	case <-ctx.Done():
		p.abandon(c, done)
		return nil, fmt.Errorf("mux: the server accepts no stream: %w", context.Cause(ctx))
	}
}

// opened is what became of opening a stream.
type opened struct {
	s   *yamux.Stream
	err error
}

// abandon closes a stream that nobody waits for any more, when it has been opened.
func (p *Pool) abandon(c *carrier, done <-chan opened) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return // it goes with its connection
	}
	c.streams++ // the caller takes back its own
	p.wg.Go(func() {
		if o := <-done; o.err == nil {
			_ = o.s.Close()
		}
		p.leave(c)
	})
}

func (p *Pool) take(c *carrier, o opened) (net.Conn, error) {
	switch {
	case o.err == nil:
		return &stream{Stream: o.s, left: func() { p.leave(c) }}, nil
	case errors.Is(o.err, yamux.ErrRemoteGoAway), errors.Is(o.err, yamux.ErrSessionShutdown), errors.Is(o.err, yamux.ErrStreamsExhausted):
		p.retire(c)
		return nil, errLeaving
	default:
		_ = c.session.Close() // it is of no use: what opens a stream could not be sent
		return nil, fmt.Errorf("mux: %w", o.err)
	}
}

// retire has a carrier end with the last of its streams.
func (p *Pool) retire(c *carrier) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drop(c) && !c.session.IsClosed() {
		p.leaving[c] = struct{}{}
	}
}

// leave counts a stream out.
func (p *Pool) leave(c *carrier) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.streams--
	if c.streams > 0 || p.closed {
		return
	}
	select {
	case <-c.ready:
	default:
		return // it is being dialled: whoever does has a stream on it, too
	}
	if c.session == nil || c.session.IsClosed() {
		return
	}
	if _, leaving := p.leaving[c]; leaving || p.cfg.Idle == 0 {
		p.expireLocked(c)
		return
	}
	c.idle = time.AfterFunc(p.cfg.Idle, func() { p.expire(c) })
}

// expire ends a carrier that has carried nothing for Idle.
func (p *Pool) expire(c *carrier) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.streams == 0 && !p.closed && !c.session.IsClosed() {
		p.expireLocked(c)
	}
}

func (p *Pool) expireLocked(c *carrier) {
	p.drop(c)
	p.leaving[c] = struct{}{} // until it has gone
	p.wg.Go(func() { _ = c.session.Close() })
}
