// Package redis keeps messages in a Redis, which several gateways share.
//
// A box is a stream, whose ids are the messages'. Who owns it decides what a batch does by an account in memory, as the other stores do, and has a script carry it out if the
// fence is still its own; so the bounds are exact without asking the Redis how full a box is. All that has come in while one round trip was under way goes with the next.
//
//	store.go     the store: what is given to it, and who is told
//	group.go     what goes in one round trip
//	call.go      a session's part of it
//	account.go   what is known of a session, and how it is read
//	sweep.go     what has expired, and what is owned no more
//	read.go      what an owner and an operator ask for
//	message.go   a message in bytes
//	scripts/     what changes a box, in Lua
//
// The keys, behind the prefix of the URL, all of a session in one slot of a cluster:
//
//	q:{session}          a hash: fence; call, the number of the owner's last call; last0, seen0 (up), last1, seen1 (down)
//	q:{session}u, d      a stream: the messages up, down, that are queued
//	q:{session}ua, da    a hash by id: those aside, which are acknowledged or have failed
package redis

import (
	"context"
	"embed"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/queue/internal/ledger"
	"github.com/caddy-gopr/caddy-gopr/store/redis"
)

const (
	// kept is how long a session's ids are remembered when nobody has used its boxes. It is far longer than a session lasts.
	kept = 30 * 24 * time.Hour
	// forgotten is how long the fence of a session is remembered that was forgotten: longer than a gateway can be paused.
	forgotten = 24 * time.Hour
)

//go:embed scripts
var sources embed.FS

var (
	loadScript   = script("load")
	callScript   = script("call")
	forgetScript = script("forget")
	readScript   = script("read")
)

func script(name string) *goredis.Script {
	text, err := sources.ReadFile("scripts/" + name + ".lua")
	if err != nil {
		panic(err)
	}
	return goredis.NewScript(string(text))
}

// nothing is what is kept in memory of a message besides its account.
type nothing struct{}

type (
	box   = ledger.Box[nothing]
	entry = ledger.Entry[nothing]
)

// Store is a [queue.Store]. Its bound on all boxes together holds for those that this gateway owns; and so Stat counts.
type Store struct {
	redis *redis.Redis
	now   func() time.Time
	wake  chan struct{} // holds one: there is something pending
	done  chan struct{} // closed when the worker has ended

	mu       sync.Mutex
	closed   bool
	pending  []request
	ledger   *ledger.Ledger[nothing]
	accounts map[queue.SessionID]*account
}

var _ queue.Store = (*Store)(nil)

// request is what a group carries out: a batch, or what else is done to a session's boxes.
type request struct {
	batch *queue.Batch
	owner *ownerRequest
}

// ownerRequest is a call of Open or Forget.
type ownerRequest struct {
	session  queue.SessionID
	fence    uint64
	forget   bool
	up, down queue.Info
	err      error
	answered chan struct{}
}

// Open opens the store at a URL; see docs/redis.md. It does not wait for the Redis: while that is away, batches fail. now is its clock; nil: time.Now.
func Open(url string, b queue.Bounds, now func() time.Time) (*Store, error) {
	if now == nil {
		now = time.Now
	}
	// What is sent again is numbered, and go-redis would not tell that it has been.
	r, err := redis.Open(url, 0)
	if err != nil {
		return nil, err
	}
	s := &Store{
		redis: r, now: now, wake: make(chan struct{}, 1), done: make(chan struct{}),
		ledger:   ledger.New(b, func(*queue.Message) (n nothing) { return n }, func(*nothing) {}),
		accounts: make(map[queue.SessionID]*account),
	}
	go s.work()
	return s, nil
}

// Health says how the Redis does.
func (s *Store) Health() redis.Health { return s.redis.Health() }

// String names the Redis, without its password.
func (s *Store) String() string { return s.redis.String() }

// Do implements [queue.Store].
func (s *Store) Do(b *queue.Batch) {
	if !s.ask(request{batch: b}) && b.Done != nil {
		go b.Done(queue.Result{Err: queue.ErrClosed})
	}
}

// ask has a request carried out; false: the store has ended.
func (s *Store) ask(r request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.pending = append(s.pending, r)
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return true
}

// Open implements [queue.Store].
func (s *Store) Open(ctx context.Context, id queue.SessionID, fence uint64) (up, down queue.Info, err error) {
	r := &ownerRequest{session: id, fence: fence}
	err = s.own(ctx, r)
	if err != nil {
		return up, down, err
	}
	return r.up, r.down, nil
}

// Forget implements [queue.Store].
func (s *Store) Forget(ctx context.Context, id queue.SessionID, fence uint64) error {
	return s.own(ctx, &ownerRequest{session: id, fence: fence, forget: true})
}

func (s *Store) own(ctx context.Context, r *ownerRequest) error {
	r.answered = make(chan struct{})
	if !s.ask(request{owner: r}) {
		return queue.ErrClosed
	}
	select {
	case <-r.answered:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// SetBounds replaces the bounds. What is stored stays.
func (s *Store) SetBounds(b queue.Bounds) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ledger.Bounds = b.WithDefaults()
}

// Stat implements [queue.Store].
func (s *Store) Stat() queue.Stat {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.ledger.Stat
	st.Oldest = s.ledger.Oldest()
	return st
}

// Close implements [queue.Store].
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return queue.ErrClosed
	}
	s.closed = true
	close(s.wake)
	s.mu.Unlock()
	<-s.done
	return s.redis.Close()
}

// open says whether the store has not ended.
func (s *Store) open() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closed
}
