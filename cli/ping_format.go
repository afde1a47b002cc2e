package cli

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// formatPinger pings a peer that speaks any format with a heartbeat, over one connection, which it dials again when
// it is lost. GOPR's peers are pinged by the client package, which knows GOPR alone.
type formatPinger struct {
	format *wire.Format
	dec    *wire.Decoder
	dialer *dialer
	addr   string // the peer's, as first dialled
	reader sync.WaitGroup

	mu      sync.Mutex // guards all below, and writes
	nc      net.Conn   // nil: there is none
	seq     uint32
	waiting []*sentPing // in the order sent; those given up as well, whose pongs may still come
}

// sentPing is a ping on its way.
type sentPing struct {
	payload []byte
	at      time.Time
	pong    chan pongResult // holds one
}

type pongResult struct {
	took time.Duration
	err  error
}

// newFormatPinger connects. The caller calls close.
func newFormatPinger(ctx context.Context, f *wire.Format, d *dialer) (*formatPinger, error) {
	if !f.HasHeartbeat() {
		return nil, fmt.Errorf("--format %s: its frames have no heartbeat, so there is nothing to ping with", f.Name())
	}
	dec, err := f.NewDecoder(wire.Rules{})
	if err != nil {
		return nil, err
	}
	p := &formatPinger{format: f, dec: dec, dialer: d}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.connect(ctx); err != nil {
		return nil, err
	}
	p.addr = p.nc.RemoteAddr().String()
	return p, nil
}

// connect dials, with mu held.
func (p *formatPinger) connect(ctx context.Context) error {
	nc, err := p.dialer.connect(ctx)
	if err != nil {
		return err
	}
	p.nc = nc
	p.reader.Go(func() { p.lost(nc, p.read(nc)) })
	return nil
}

// close ends the connection, and waits until nothing uses it.
func (p *formatPinger) close() {
	p.mu.Lock()
	if p.nc != nil {
		p.nc.Close()
	}
	p.mu.Unlock()
	p.reader.Wait()
}

// ping sends a ping and waits for its pong.
func (p *formatPinger) ping(ctx context.Context) (time.Duration, error) {
	sent, err := p.send(ctx)
	if err != nil {
		return 0, err
	}
	select {
	case r := <-sent.pong:
		return r.took, r.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (p *formatPinger) send(ctx context.Context) (*sentPing, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.nc == nil {
		if err := p.connect(ctx); err != nil {
			return nil, err
		}
	}
	p.seq++
	frame, payload, err := p.frame(p.seq)
	if err != nil {
		return nil, err
	}
	sent := &sentPing{payload: payload, at: time.Now(), pong: make(chan pongResult, 1)}
	p.waiting = append(p.waiting, sent)
	deadline, _ := ctx.Deadline()
	_ = p.nc.SetWriteDeadline(deadline)
	if _, err := p.nc.Write(frame); err != nil {
		p.nc.Close() // the reader tells everybody
	}
	return sent, nil
}

// frame is a ping, and what of it comes back in its pong; nil: nothing does.
func (p *formatPinger) frame(seq uint32) (frame, payload []byte, err error) {
	if p.format.EchoesPing() {
		payload = binary.BigEndian.AppendUint32(nil, seq)
		payload = binary.BigEndian.AppendUint64(payload, uint64(time.Now().UnixNano()))
		payload = payload[:min(len(payload), p.format.MaxPayload())]
	}
	frame, err = p.format.AppendPing(nil, payload)
	return frame, payload, err
}

// size is how long a ping is, in bytes.
func (p *formatPinger) size() int {
	frame, _, _ := p.frame(0) // an error is given by the first ping
	return len(frame)
}

// read takes what the peer sends until the connection ends.
func (p *formatPinger) read(nc net.Conn) error {
	var f wire.Frame
	for frames := newFormatReader(nc, p.dec, p.format); ; {
		if err := frames.next(&f); err != nil {
			return err
		}
		if p.format.IsPong(&f) && p.answered(f.Payload) || !p.format.IsPing(&f) {
			continue
		}
		p.mu.Lock()
		_ = nc.SetWriteDeadline(time.Now().Add(p.dialer.timeout))
		_, err := nc.Write(p.format.AppendPong(nil, &f)) // the peer's own ping
		p.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// answered finds the ping of a pong. Without an echo pongs come in the order of the pings. It reports false for
// what is no pong: of a format whose pong is the ping itself, the peer's own ping looks like one.
func (p *formatPinger) answered(payload []byte) bool {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.waiting, func(s *sentPing) bool { return s.payload == nil || bytes.HasPrefix(payload, s.payload) })
	if i < 0 {
		return false
	}
	p.waiting[i].pong <- pongResult{took: now.Sub(p.waiting[i].at)}
	p.waiting = slices.Delete(p.waiting, i, i+1)
	return true
}

// lost tells all pings on their way that the connection has ended.
func (p *formatPinger) lost(nc net.Conn, err error) {
	nc.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nc = nil
	for _, s := range p.waiting {
		s.pong <- pongResult{err: &lostError{err}}
	}
	p.waiting = nil
}

// lostError is a ping whose connection has ended.
type lostError struct{ cause error }

func (e *lostError) Error() string { return "the connection ended: " + e.cause.Error() }
func (e *lostError) Unwrap() error { return e.cause }
