package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/queue/memory"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

func TestPublish(t *testing.T) {
	for _, crc := range []bool{false, true} {
		t.Run(fmt.Sprint("crc ", crc), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGateway(t)
				c := g.member(t, SessionOptions{CRC: crc})
				wait(t, c, Connected)
				payload := []byte("first")
				for q := range uint8(3) {
					if err := c.Publish(t.Context(), 0x10+q, payload, q); err != nil {
						t.Fatalf("QoS %d: %v", q, err)
					}
					copy(payload, "after") // it is the caller's again
				}
				synctest.Wait()
				want := "[0x10 QoS 0 \"first\" 0x11 QoS 1 \"after\" 0x12 QoS 2 \"after\"]"
				if got := fmt.Sprint(g.got); got != want {
					t.Errorf("arrived: %s, want %s", got, want)
				}
				if s := c.Status().Session; s.Queued != 0 || s.Inflight != 0 || s.Repeated != 0 || s.Begun != 1 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

func TestPublishOffline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.set(false)
		c := g.member(t, SessionOptions{})
		var want []string
		for i := range 600 { // more than is held beside the queue
			want = append(want, fmt.Sprint("message ", i))
			if _, err := c.Enqueue(t.Context(), 0x10, []byte(want[i]), 1+uint8(i)%2); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Publish(t.Context(), 0x10, nil, 0); !errors.Is(err, ErrNotConnected) {
			t.Errorf("QoS 0: %v", err)
		}
		if n := c.Status().Session.Queued; n != 600 {
			t.Errorf("%d are queued", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := c.Publish(ctx, 0x10, []byte("last"), 1)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "queued, ") {
			t.Errorf("got %v", err)
		}
		g.set(true)
		r, err := c.Enqueue(t.Context(), 0x10, []byte("very last"), 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Wait(t.Context()); err != nil || r.Err() != nil {
			t.Fatal(err, r.Err())
		}
		if got := g.payloads(); !slices.Equal(got, append(want, "last", "very last")) {
			t.Errorf("arrived: %d, %q", len(got), got)
		}
		synctest.Wait()
		if s := c.Status().Session; s.Queued != 0 || s.Inflight != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestPublishFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.set(false)
		store := memory.New(queue.Bounds{Messages: 3}, nil)
		defer store.Close()
		c := g.member(t, SessionOptions{Queue: store})
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				if err := c.Publish(t.Context(), 0x10, []byte(fmt.Sprint(i)), 1); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(100 * time.Millisecond)
		if _, err := c.Enqueue(t.Context(), 0x10, nil, 1); !errors.Is(err, ErrQueueFull) {
			t.Errorf("got %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := c.Publish(ctx, 0x10, nil, 1); !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "not sent") {
			t.Errorf("got %v", err)
		}
		g.set(true)
		all.Wait()
		if got := strings.Join(g.payloads(), ""); got != "012345" {
			t.Errorf("arrived: %s", got)
		}
	})
}

func TestPublishRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plain, _ := connect(t, Options{})
		if err := plain.Publish(t.Context(), 0x10, nil, 1); err != errNoSession {
			t.Errorf("without a session: %v", err)
		}
		g := newGateway(t)
		c := g.member(t, SessionOptions{CRC: true})
		wait(t, c, Connected)
		if err := c.Publish(t.Context(), 0x0F, nil, 1); err != errNotOurs {
			t.Errorf("a command of the protocol: %v", err)
		}
		if err := c.Publish(t.Context(), 0x0F, nil, 0); err != errNotOurs {
			t.Errorf("a command of the protocol, at QoS 0: %v", err)
		}
		if err := c.Publish(t.Context(), 0x10, nil, 3); err == nil || !strings.Contains(err.Error(), "QoS 3") {
			t.Errorf("QoS 3: %v", err)
		}
		if err := c.Send(t.Context(), 0x10, wire.FlagDup, nil); err == nil || !strings.Contains(err.Error(), "flag 0x10") {
			t.Errorf("a flag: %v", err)
		}
		var tooLong *wire.FieldError
		if err := c.Publish(t.Context(), 0x10, make([]byte, wire.MaxPayload-7), 1); !errors.As(err, &tooLong) || tooLong.Max != wire.MaxPayload-8 {
			t.Errorf("too long: %v", err)
		}
		if err := c.Publish(t.Context(), 0x10, make([]byte, wire.MaxPayload-8), 1); err != nil {
			t.Errorf("the longest: %v", err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Publish(ended, 0x10, nil, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("a context that has ended: %v", err)
		}
		c.Close()
		if err := c.Publish(t.Context(), 0x10, nil, 1); !errors.Is(err, ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
}

func TestPublishExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.set(false)
		c := g.member(t, SessionOptions{TTL: time.Minute})
		start := time.Now()
		if err := c.Publish(t.Context(), 0x10, []byte("old"), 1); !errors.Is(err, ErrExpired) {
			t.Errorf("got %v", err)
		}
		if d := time.Since(start); d != time.Minute {
			t.Errorf("after %v", d)
		}
		g.set(true)
		if err := c.Publish(t.Context(), 0x10, []byte("new"), 1); err != nil {
			// The pause after five failed dials is longer than a minute.
			if !errors.Is(err, ErrExpired) {
				t.Error(err)
			}
		}
		wait(t, c, Connected)
		if err := c.Publish(t.Context(), 0x10, []byte("newer"), 1); err != nil {
			t.Error(err)
		}
		if got := g.payloads(); slices.Contains(got, "old") || !slices.Contains(got, "newer") {
			t.Errorf("arrived: %q", got)
		}
	})
}

// TestUnacknowledged: what is not acknowledged is repeated, then the connection is given up, and on the next it arrives.
func TestUnacknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.mute = true
		c := g.member(t, SessionOptions{})
		wait(t, c, Connected)
		r, err := c.Enqueue(t.Context(), 0x10, []byte("insistent"), 2)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Second)
		if s := c.Status(); s.Session.Repeated != 3 || s.State != Connected {
			t.Errorf("%v: %+v", s.State, s.Session)
		}
		time.Sleep(1100 * time.Millisecond)
		if s := c.Status(); s.State != Reconnecting || !errors.Is(s.LastErr, ErrUnacknowledged) {
			t.Errorf("%v: %v", s.State, s.LastErr)
		}
		g.mu.Lock()
		g.mute = false
		g.mu.Unlock()
		if err := r.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if s := c.Status().Session; s.Resumes != 1 || s.Begun != 1 || s.Queued != 0 {
			t.Errorf("%+v", s)
		}
		if g.dups != 4 {
			t.Errorf("%d with DUP, want the 3 repeats and the one on the next connection", g.dups)
		}
	})
}

// TestNothingLost publishes both ways over connections that are cut at any byte, by a client that is ended and begun again.
func TestNothingLost(t *testing.T) { nothingLostOften(t, false) }

// TestNothingLostInCrashes is the same with a client that is killed. What OnMessage was given last may then come again, but nothing else may.
func TestNothingLostInCrashes(t *testing.T) { nothingLostOften(t, true) }

func nothingLostOften(t *testing.T, crash bool) {
	rounds := 30
	if testing.Short() {
		rounds = 5
	}
	for seed := range rounds {
		synctest.Test(t, func(t *testing.T) { nothingLost(t, uint64(seed), crash) })
	}
}

// process is what a program has of a queue and a ticket store that outlive it: nothing, once it is killed.
type process struct {
	queue.Store
	*ticketMemory
	killed atomic.Bool
}

func (p *process) Do(b *queue.Batch) {
	if p.killed.Load() {
		go b.Done(queue.Result{Err: queue.ErrClosed})
		return
	}
	p.Store.Do(b)
}

func (p *process) Save(ctx context.Context, t Ticket) error {
	if p.killed.Load() {
		return queue.ErrClosed
	}
	return p.ticketMemory.Save(ctx, t)
}

func nothingLost(t *testing.T, seed uint64, crash bool) {
	const up, publishers, down = 200, 3, 300
	rnd, cuts := rand.New(rand.NewPCG(seed, 7)), rand.New(rand.NewPCG(seed, 8)) // cuts is guarded by g.mu
	g := newGateway(t)
	calm := false
	g.cut = func() (int, int) {
		if calm {
			return 1 << 30, 1 << 30
		}
		return cuts.IntN(1000), cuts.IntN(2000)
	}
	store := memory.New(queue.Bounds{}, nil)
	tickets := new(ticketMemory)
	var mu sync.Mutex
	var came []string
	var p *process
	begin := func() (*Client, chan struct{}) {
		p = &process{Store: store, ticketMemory: tickets}
		c, err := New("gateway", Options{
			Dial: g.Dial, Reconnect: Reconnect{Initial: 100 * time.Millisecond, Attempts: -1},
			Session: &SessionOptions{
				ClientID: "device", Queue: p, Tickets: p, CRC: seed%2 == 0,
				OnMessage: func(m Message) {
					mu.Lock()
					defer mu.Unlock()
					came = append(came, string(m.Payload))
				},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { defer close(ended); _ = c.Run(context.Background()) }()
		return c, ended
	}
	c, ended := begin()
	wait(t, c, Connected)
	for i := range down {
		g.publish("device", 1+uint8(i)%2, fmt.Sprint("down ", i))
	}
	var next [publishers]int
	for run := range 4 {
		var all sync.WaitGroup
		for p := range publishers {
			through := (run + 1) * up / 4
			all.Go(func() {
				for ; next[p] < through; next[p]++ {
					_, err := c.Enqueue(t.Context(), 0x10, fmt.Appendf(nil, "%d %d", p, next[p]), 1+uint8(next[p])%2)
					if err != nil {
						if !crash {
							t.Error(err)
						}
						return
					}
				}
			})
		}
		if crash {
			time.Sleep(time.Duration(rnd.IntN(300)) * time.Millisecond)
			p.killed.Store(true)
			g.hangUp()
		}
		all.Wait()
		if !crash {
			time.Sleep(time.Duration(rnd.IntN(3000)) * time.Millisecond)
		}
		c.Close()
		<-ended
		c, ended = begin()
	}
	g.mu.Lock()
	calm = true
	g.mu.Unlock()
	for i := range next {
		for ; next[i] < up; next[i]++ {
			if err := c.Publish(t.Context(), 0x10, fmt.Appendf(nil, "%d %d", i, next[i]), 1); err != nil {
				t.Error(err)
			}
		}
	}
	if err := c.Publish(t.Context(), 0x10, []byte("end"), 2); err != nil {
		t.Error(err)
	}
	time.Sleep(time.Minute)
	if s := c.Status().Session; s.Queued != 0 || s.Inflight != 0 || s.Undone != 0 || s.Begun != 0 {
		t.Errorf("%+v", s)
	}
	c.Close()
	<-ended
	store.Close()

	got := map[byte][]string{}
	for _, s := range g.payloads() {
		got[s[0]] = append(got[s[0]], s)
	}
	for p := range publishers {
		var want []string
		for i := range up {
			want = append(want, fmt.Sprint(p, " ", i))
		}
		if have := got['0'+byte(p)]; !slices.Equal(have, want) {
			t.Errorf("seed %d: of publisher %d arrived %q", seed, p, have)
		}
	}
	var want []string
	for i := range down {
		want = append(want, fmt.Sprint("down ", i))
	}
	if crash {
		again := came
		came = nil
		for i, s := range again {
			if j := slices.Index(again[:i], s); j < 0 {
				came = append(came, s)
			} else if i-j > 2*int(g.window) {
				t.Errorf("seed %d: %q came again after %d others", seed, s, i-j)
			}
		}
	}
	if !slices.Equal(came, want) {
		t.Errorf("seed %d: down came %q", seed, came)
	}
}
