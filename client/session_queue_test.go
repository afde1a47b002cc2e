package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/queue/memory"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// sickStore is a queue that can be told to fail.
type sickStore struct {
	queue.Store
	mu   sync.Mutex
	sick error // nil: it works
}

func newSickStore(t *testing.T, b queue.Bounds) *sickStore {
	s := &sickStore{Store: memory.New(b, nil)}
	t.Cleanup(func() { s.Close() })
	return s
}

func (s *sickStore) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sick = err
}

func (s *sickStore) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sick
}

func (s *sickStore) Do(b *queue.Batch) {
	if err := s.err(); err != nil {
		go b.Done(queue.Result{Err: err})
		return
	}
	s.Store.Do(b)
}

func (s *sickStore) Read(ctx context.Context, b queue.Box, after uint64, max, maxBytes int) ([]queue.Message, error) {
	if err := s.err(); err != nil {
		return nil, err
	}
	return s.Store.Read(ctx, b, after, max, maxBytes)
}

var errDisk = errors.New("the disk is full")

// TestQueueFails: what the queue does not take is not sent, and its maker is told; what it does not remove is removed when it works again; what came is acknowledged then.
func TestQueueFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		store := newSickStore(t, queue.Bounds{})
		var came []string
		c := g.member(t, SessionOptions{Queue: store, OnMessage: func(m Message) { came = append(came, string(m.Payload)) }})
		wait(t, c, Connected)
		g.mute = true
		r, err := c.Enqueue(t.Context(), 0x10, []byte("queued"), 1)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		store.set(errDisk)
		g.mu.Lock()
		g.mute = false
		g.mu.Unlock()
		if err := r.Wait(t.Context()); err != nil { // it is repeated, and acknowledged
			t.Error(err)
		}
		g.publish("device", 1, "down")
		if err := c.Publish(t.Context(), 0x10, []byte("refused"), 1); !errors.Is(err, errDisk) || !strings.HasPrefix(err.Error(), "not queued") {
			t.Errorf("got %v", err)
		}
		time.Sleep(1500 * time.Millisecond)
		if s := c.Status().Session; !errors.Is(s.QueueErr, errDisk) || s.Queued != 1 || len(came) != 1 {
			t.Errorf("%+v, came %q", s, came)
		}
		if n := g.sessions["device"].send.InFlight(); n != 1 {
			t.Errorf("%d in flight", n)
		}
		store.set(nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if s := c.Status().Session; s.QueueErr != nil || s.Queued != 0 || s.Undone != 0 {
			t.Errorf("%+v", s)
		}
		if n := g.sessions["device"].send.InFlight(); n != 0 {
			t.Errorf("%d in flight", n)
		}
		if err := c.Publish(t.Context(), 0x10, []byte("well"), 1); err != nil {
			t.Error(err)
		}
		if got := fmt.Sprint(g.payloads()); got != "[queued well]" {
			t.Errorf("arrived: %s", got)
		}
	})
}

// TestQueueUnreadable: a queue that cannot be read ends the connection; the next one tries again.
func TestQueueUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.set(false)
		store := newSickStore(t, queue.Bounds{})
		c := g.member(t, SessionOptions{Queue: store})
		r, err := c.Enqueue(t.Context(), 0x10, []byte("patient"), 2)
		if err != nil {
			t.Fatal(err)
		}
		store.set(errDisk)
		g.set(true)
		time.Sleep(10 * time.Second)
		if s := c.Status(); !errors.Is(s.LastErr, errDisk) {
			t.Errorf("%v: %v", s.State, s.LastErr)
		}
		store.set(nil)
		if err := r.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestQueueDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.set(false)
		store := newSickStore(t, queue.Bounds{Messages: 2, Overflow: queue.DropOldest})
		c := g.member(t, SessionOptions{Queue: store})
		var receipts []*Receipt
		for i := range 3 {
			r, err := c.Enqueue(t.Context(), 0x10, []byte{'0' + byte(i)}, 1)
			if err != nil {
				t.Fatal(err)
			}
			receipts = append(receipts, r)
		}
		g.set(true)
		for i, r := range receipts {
			if err := r.Wait(t.Context()); i == 0 && !errors.Is(err, ErrDropped) || i > 0 && err != nil {
				t.Errorf("%d: %v", i, err)
			}
		}
		if got := strings.Join(g.payloads(), ""); got != "12" {
			t.Errorf("arrived: %s", got)
		}
	})
}

// TestCloseWithMessages: who waits is told that the Client has ended, and what is queued goes out when there is another.
func TestCloseWithMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.set(false)
		store := newSickStore(t, queue.Bounds{Messages: 2})
		c := g.member(t, SessionOptions{Queue: store})
		told := make(chan error, 3)
		for range 3 { // the last has no room
			go func() { told <- c.Publish(context.Background(), 0x10, []byte("kept"), 1) }()
			synctest.Wait()
		}
		c.Close()
		notSent := 0
		for range 3 {
			err := <-told
			if !errors.Is(err, ErrClosed) {
				t.Errorf("got %v", err)
			}
			if strings.HasPrefix(err.Error(), "not sent") {
				notSent++
			}
		}
		if notSent != 1 {
			t.Errorf("%d were not sent", notSent)
		}
		g.set(true)
		c = g.member(t, SessionOptions{Queue: store})
		wait(t, c, Connected)
		synctest.Wait()
		if n := len(g.payloads()); n != 2 {
			t.Errorf("%d arrived", n)
		}
	})
}

// sickTickets cannot be saved.
type sickTickets struct{ ticketMemory }

func (s *sickTickets) Save(context.Context, Ticket) error { return errDisk }

// TestTicketNotSaved: a connection whose ticket is not safe is not used, as a crash would cost the session.
func TestTicketNotSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.member(t, SessionOptions{Tickets: new(sickTickets)})
		time.Sleep(time.Second)
		if s := c.Status(); s.State != Reconnecting || !errors.Is(s.LastErr, errDisk) || s.Connects != 0 {
			t.Errorf("%v: %v", s.State, s.LastErr)
		}
	})
}

func TestSessionOptionsRefused(t *testing.T) {
	tests := []struct {
		opt  Options
		want string
	}{
		{Options{OnFrame: func(wire.Frame) {}, Session: &SessionOptions{ClientID: "x"}}, "set that instead"},
		{Options{Session: &SessionOptions{}}, `client id: give one such as "device-42"`},
		{Options{Session: &SessionOptions{ClientID: strings.Repeat("x", 256)}}, "256 bytes"},
		{Options{Session: &SessionOptions{ClientID: "x", Expiry: -1}}, "session expiry"},
		{Options{Session: &SessionOptions{ClientID: "x", Expiry: time.Millisecond}}, "session expiry"},
		{Options{Session: &SessionOptions{ClientID: "x", Expiry: 200 * 365 * 24 * time.Hour}}, "136 years"},
		{Options{Session: &SessionOptions{ClientID: "x", WelcomeTimeout: -1}}, "welcome timeout"},
		{Options{Session: &SessionOptions{ClientID: "x", AckTimeout: -1}}, "ack timeout"},
		{Options{Session: &SessionOptions{ClientID: "x", MaxRetries: -1}}, "-1 retries"},
		{Options{Session: &SessionOptions{ClientID: "x", MaxRetries: 256}}, "256 retries"},
	}
	for _, tt := range tests {
		c, err := New("127.0.0.1:1", tt.opt)
		if err == nil {
			c.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.opt.Session, err, tt.want)
		}
	}
	c, err := New("127.0.0.1:1", Options{Session: &SessionOptions{ClientID: strings.Repeat("x", 255)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// lateStore is a queue that tells of its commits late.
type lateStore struct{ queue.Store }

func (s lateStore) Do(b *queue.Batch) {
	late := *b
	late.Done = func(r queue.Result) {
		go func() {
			time.Sleep(10 * time.Second)
			b.Done(r)
		}()
	}
	s.Store.Do(&late)
}

// TestQueueTellsLate: a new connection finds a message in the queue before its maker was told that it is there. It must not be acknowledged to nobody.
func TestQueueTellsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.set(false)
		c := g.member(t, SessionOptions{Queue: lateStore{newSickStore(t, queue.Bounds{})}})
		published := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			published <- c.Publish(ctx, 0x10, []byte("early"), 1)
		}()
		synctest.Wait()
		g.set(true)
		if err := <-published; err != nil {
			t.Error(err)
		}
		if got := fmt.Sprint(g.payloads()); got != "[early]" {
			t.Errorf("arrived: %s", got)
		}
	})
}
