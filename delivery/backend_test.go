package delivery

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddy-gopr/caddy-gopr/qos"
	"github.com/caddy-gopr/caddy-gopr/upstream"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// backend is a group of one backend, which is up or away. Each lease has its link, which reads by a goroutine of its own.
type backend struct {
	t    *testing.T
	up   atomic.Bool
	mute atomic.Bool // it reads, and answers nothing
	wg   sync.WaitGroup

	mu     sync.Mutex
	leases []*lease
	got    []string       // messages, in order
	seen   map[string]int // how often each came
	hop    bool           // it speaks the extended protocol
	has    map[string]uint64

	numbers int      // of messages to the client
	owed    []uint32 // those of them that were not acknowledged, by an extended backend
}

// publish has the backend send the client numbers, over its link: a plain one forgets them, an extended one repeats them until they are acknowledged.
func (b *backend) publish(n int) {
	live := b.all()
	if len(live) == 0 || !live[len(live)-1].isLinked() {
		return
	}
	l := live[len(live)-1]
	l.talk.Lock()
	defer l.talk.Unlock()
	if b.hop && !l.welcomed {
		return
	}
	var run []byte
	b.mu.Lock()
	for range n {
		b.numbers++
		if b.hop {
			b.owed = append(b.owed, uint32(b.numbers))
			run = append(run, publish(uint32(b.numbers), 1+uint8(b.numbers%2), fmt.Sprint(b.numbers))...)
		} else {
			run = wire.AppendFrame(run, app, 0, fmt.Append(nil, b.numbers))
		}
	}
	b.mu.Unlock()
	l.peer.Frames(run, n)
}

// repeat sends again what the client's gateway has not acknowledged.
func (l *lease) repeat() {
	l.b.mu.Lock()
	var run []byte
	for _, id := range l.b.owed {
		run = append(run, again(publish(id, 1+uint8(id%2), fmt.Sprint(id)))...)
	}
	n := len(l.b.owed)
	l.b.mu.Unlock()
	if n > 0 {
		l.peer.Frames(run, n)
	}
}

// accepted is the numbers that were acknowledged.
func (b *backend) accepted() (list []int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := 1; i <= b.numbers; i++ {
		if !slices.Contains(b.owed, uint32(i)) {
			list = append(list, i)
		}
	}
	return list
}

func (l *lease) isLinked() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.linked
}

// lease is an upstream.Lease.
type lease struct {
	from upstream.Client
	b    *backend
	peer upstream.LinkPeer
	more chan struct{}
	stop chan struct{}

	mu      sync.Mutex
	linked  bool
	sent    []byte
	full    bool // what Send returns
	stopped bool // Frames returned full
	resumed int
	ended   bool
	silent  bool // it belongs to a service that has died

	client string // of its HELLO

	talk     sync.Mutex // held by who has messages of the backend's own sent, so that they are in order
	welcomed bool       // they may be sent; guarded by talk
}

var errLinkCut = errors.New("link cut")

func (b *backend) lease(p upstream.LinkPeer, c upstream.Client) (upstream.Lease, func(), error) {
	l := &lease{b: b, from: c, peer: p, more: make(chan struct{}, 1), stop: make(chan struct{})}
	b.mu.Lock()
	b.leases = append(b.leases, l)
	b.mu.Unlock()
	if b.up.Load() {
		l.link()
	}
	b.wg.Go(l.read)
	return l, func() {}, nil
}

// all returns the leases that live.
func (b *backend) all() (live []*lease) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.leases {
		if !l.over() && !l.isSilent() {
			live = append(live, l)
		}
	}
	return live
}

func (l *lease) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}

func (l *lease) isSilent() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.silent
}

// away has all links die, and no other made.
func (b *backend) away() {
	b.up.Store(false)
	for _, l := range b.all() {
		l.cut()
	}
}

// back has the backend there again.
func (b *backend) back() {
	b.up.Store(true)
	for _, l := range b.all() {
		l.link()
	}
}

func (l *lease) link() {
	l.mu.Lock()
	if l.silent || l.linked || l.ended {
		l.mu.Unlock()
		return
	}
	l.linked, l.sent, l.full = true, nil, false
	l.mu.Unlock()
	l.peer.Linked(l, "backend")
}

func (l *lease) cut() {
	l.mu.Lock()
	was := l.linked
	l.linked, l.sent = false, nil
	l.mu.Unlock()
	l.talk.Lock()
	l.welcomed = false
	l.talk.Unlock()
	if was {
		l.peer.Unlinked(errLinkCut)
	}
}

// silence has the link die without its gateway's knowledge.
func (l *lease) silence() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.linked, l.sent = false, nil
	l.silent = true
}

// read is the backend's end of the link.
func (l *lease) read() {
	for {
		select {
		case <-l.stop:
			return
		case <-l.more:
		}
		l.mu.Lock()
		b := l.sent
		l.sent = nil
		l.mu.Unlock()
		if l.b.mute.Load() {
			l.b.note(b)
			continue
		}
		l.answer(b)
	}
}

// note keeps what came, and answers nothing.
func (b *backend) note(frames []byte) {
	var f wire.Frame
	for len(frames) > 0 {
		n, err := decoder.Next(frames, &f)
		if n == 0 || err != nil {
			b.t.Errorf("the backend was sent what is no frame: %x", frames)
			return
		}
		frames = frames[n:]
		if f.Cmd >= wire.CmdApp {
			b.took(&f)
		}
	}
}

func (b *backend) took(f *wire.Frame) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, word(f))
	payload := f.Payload
	if e, err := wire.ParseExt(f); err == nil {
		payload = e.Payload
	}
	b.seen[string(payload)]++
}

func (l *lease) answer(b []byte) {
	var f wire.Frame
	for len(b) > 0 {
		n, err := decoder.Next(b, &f)
		if n == 0 || err != nil {
			l.b.t.Errorf("the backend was sent what is no frame: %x", b)
			return
		}
		b = b[n:]
		switch {
		case f.Cmd == wire.CmdPing:
			l.peer.Pong(f.Payload)
		case l.b.hop:
			l.extended(&f)
		default:
			l.b.took(&f)
			if f.Flag == wire.FlagReq {
				l.peer.Frames(wire.AppendFrame(nil, uint8(f.Cmd), wire.FlagRsp, append([]byte("re "), f.Payload...)), 1)
			}
		}
	}
}

// extended answers as a backend that acknowledges.
func (l *lease) extended(f *wire.Frame) {
	switch f.Cmd {
	case wire.CmdHello:
		h, ok := wire.ParseHello(f.Payload)
		if !ok {
			l.b.t.Errorf("a HELLO that does not parse")
			return
		}
		l.client = fmt.Sprintf("%s %x", h.ClientID, h.Token)
		l.b.mu.Lock()
		last := l.b.has[l.client]
		l.b.mu.Unlock()
		w, _ := wire.AppendWelcome(nil, &wire.Welcome{Resumed: last > 0, Capabilities: h.Capabilities, Window: 16, LastID: uint32(last), Token: h.Token})
		l.talk.Lock()
		l.peer.Frames(w, 1)
		l.repeat()
		l.welcomed = true
		l.talk.Unlock()
	case wire.CmdPubRel:
		id, _ := wire.ParseAck(f.Payload)
		l.peer.Frames(ack(wire.CmdPubComp, id), 1)
	case wire.CmdPubAck, wire.CmdPubRec:
		id, _ := wire.ParseAck(f.Payload)
		l.b.mu.Lock()
		l.b.owed = slices.DeleteFunc(l.b.owed, func(owed uint32) bool { return owed == id })
		l.b.mu.Unlock()
		if f.Cmd == wire.CmdPubRec {
			l.peer.Frames(ack(wire.CmdPubRel, id), 1)
		}
	case wire.CmdPubComp:
	default:
		e, err := wire.ParseExt(f)
		if err != nil {
			l.b.t.Error(err)
			return
		}
		if e.QoS == 0 {
			l.b.took(f)
			return
		}
		l.b.mu.Lock()
		full, above, _ := qos.Expand(l.b.has[l.client], e.ID)
		if above {
			l.b.has[l.client] = full
		}
		l.b.mu.Unlock()
		if above {
			l.b.took(f)
		}
		l.peer.Frames(ack(receiptFor(e.QoS), e.ID), 1)
	}
}

// push has the backend send a plain frame over every link.
func (b *backend) push(flag uint8, texts ...string) {
	var run []byte
	for _, text := range texts {
		run = wire.AppendFrame(run, app, flag, []byte(text))
	}
	b.pushRaw(run, len(texts))
}

func (b *backend) pushRaw(run []byte, n int) {
	for _, l := range b.all() {
		if l.peer.Frames(bytes.Clone(run), n) {
			l.mu.Lock()
			l.stopped = true
			l.mu.Unlock()
		}
	}
}

// took since the last call.
func (b *backend) received() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	got := b.got
	b.got = nil
	return got
}

func (l *lease) Send(frames []byte, _, _ int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.linked || l.ended {
		return false
	}
	l.sent = append(l.sent, frames...)
	select {
	case l.more <- struct{}{}:
	default:
	}
	return l.full
}

func (l *lease) Resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.resumed++
	l.stopped = false
}

func (l *lease) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.ended = true
		close(l.stop)
	}
}

func (l *lease) Unanswered() int          { return 0 }
func (l *lease) Waiting() bool            { return false }
func (l *lease) Held() int                { return 0 }
func (l *lease) Settled() bool            { return true }
func (l *lease) Withdraw() ([]byte, bool) { return nil, false }
func (l *lease) Backend() string          { return "backend" }
