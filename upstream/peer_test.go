package upstream

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// peer is a client as a lease sees it.
type peer struct {
	t     testing.TB
	lease Lease

	mu    sync.Mutex
	full  bool // what Frames returns
	got   []string
	rooms int
	lost  []error
}

// lease has a new peer take a lease.
func lease(t testing.TB, g *Group) *peer {
	t.Helper()
	p := &peer{t: t}
	p.lease = g.Lease(p, Client{})
	return p
}

func (p *peer) Frames(run []byte, n int) (full bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.lost) > 0 {
		p.t.Error("frames after Lost")
	}
	for ; len(run) > 0; n-- {
		var f wire.Frame
		size, err := testDecoder.Next(run, &f)
		if size == 0 {
			p.t.Errorf("Frames: no whole frame in %q (%v)", run, err)
			return false
		}
		p.got = append(p.got, string(f.Payload))
		run = run[size:]
	}
	if n != 0 {
		p.t.Errorf("Frames: n is wrong by %d", n)
	}
	return p.full
}

func (p *peer) Room() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rooms++
}

func (p *peer) Lost(cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost = append(p.lost, cause)
}

// say sends frames that ask nothing; ask sends requests. All go in one run.
func (p *peer) say(payloads ...string) (full bool) { return p.send(0, payloads) }
func (p *peer) ask(payloads ...string) (full bool) { return p.send(wire.FlagReq, payloads) }

func (p *peer) send(flag uint8, payloads []string) (full bool) {
	var run []byte
	for _, s := range payloads {
		run = wire.AppendFrame(run, 0x10, flag, []byte(s))
	}
	return p.lease.Send(run, len(payloads), len(payloads)*int(flag))
}

// expect checks what has come, forgets it, and that the lease has not ended.
func (p *peer) expect(want ...string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Equal(p.got, want) {
		p.t.Errorf("the client got %q, not %q", p.got, want)
	}
	if len(p.lost) > 0 {
		p.t.Errorf("the lease has ended: %v", p.lost)
	}
	p.got = nil
}

// expectLost checks that the client was told the end, once, and that it was this.
func (p *peer) expectLost(want error) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.lost) != 1 || !errors.Is(p.lost[0], want) {
		p.t.Errorf("the client was told %q, not once %q", p.lost, want)
	}
}

func (p *peer) setFull(full bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.full = full
}

// tookRooms returns how often Room was called since it was last asked.
func (p *peer) tookRooms() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.rooms
	p.rooms = 0
	return n
}

var testDecoder = func() *wire.Decoder {
	d, err := wire.GOPR.NewDecoder(wire.Rules{})
	if err != nil {
		panic(err)
	}
	return d
}()

// waitAnswers waits until each has got something, and fails if one does not within a minute of the bubble's time.
func waitAnswers(t testing.TB, all []*peer) {
	t.Helper()
	for range 600 {
		synctest.Wait()
		if !slices.ContainsFunc(all, func(p *peer) bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return len(p.got) == 0
		}) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("somebody gets no answer")
}

// waitConnected waits, in the bubble's time, until a backend has a link, or a dial would be made for the next client.
func waitConnected(g *Group, addr string) {
	for range 600 {
		synctest.Wait()
		for _, b := range g.Stat().Backends {
			if b.Backend == addr && (b.Links > 0 || b.NextDial.IsZero()) {
				return
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
}
