package client

import (
	"context"
	"fmt"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// clientPing is set in the sequence numbers of Client.Ping's pings, and never in those of the heartbeat's,
// which count from 1.
const clientPing = 1 << 31

// Ping sends a PING and returns how long its PONG took. It is a measurement, beside the heartbeat and
// without a part in it. Any number may be on their way at once: a PONG is matched by what it echoes, so
// one that is late, doubled or missing is never taken for another's.
//
// Errors are those of [Client.Request].
func (c *Client) Ping(ctx context.Context) (time.Duration, error) {
	l, err := c.current()
	if err != nil {
		return 0, err
	}
	pong := make(chan time.Time, 1)
	seq := l.awaitPong(pong)
	defer l.forgetPong(seq)

	sent := time.Now()
	var buf [wire.HeaderLen + wire.PingLen]byte
	payload := wire.AppendPing(buf[:0], wire.Ping{Seq: seq, Time: sent.UnixNano()})[wire.HeaderLen:]
	if err := l.putWait(ctx, wire.CmdPing, wire.FlagReq, 0, payload, nil); err != nil {
		return 0, err
	}
	select {
	case came := <-pong:
		return came.Sub(sent), nil
	case <-l.down:
		return 0, lost(l.cause())
	case <-ctx.Done():
		return 0, fmt.Errorf("sent, no pong: %w", ctx.Err())
	}
}

// awaitPong has Pong send its time to pong, which must have room for it, and returns the sequence number to
// ping with.
func (l *link) awaitPong(pong chan<- time.Time) (seq uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pings == nil {
		l.pings = make(map[uint32]chan<- time.Time)
	}
	l.pingSeq++
	seq = l.pingSeq | clientPing
	l.pings[seq] = pong
	return seq
}

func (l *link) forgetPong(seq uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pings, seq)
}

// Pong is given the pongs that are not the heartbeat's.
func (l *link) Pong(now time.Time, payload []byte) {
	p, ok := wire.ParsePing(payload)
	if !ok {
		return
	}
	l.mu.Lock()
	pong := l.pings[p.Seq]
	delete(l.pings, p.Seq)
	l.mu.Unlock()
	if pong != nil {
		pong <- now
	}
}
