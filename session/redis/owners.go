package redis

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/caddy-gopr/caddy-gopr/session"
)

const (
	// alive is how long an owner is taken to live without a word of it. It says one three times as often.
	alive = 15 * time.Second
	// gone is how long it is known of an owner that it has left.
	gone = 24 * time.Hour
)

// ownersState are the owners that live in this store, and what the store itself has lived through.
type ownersState struct {
	mu     sync.Mutex
	owners map[string]*owner
	sound  time.Time // since when each owner that lives could say so, as far as this store can tell; zero: it can't
}

// An owner is one that Taken was called for.
type owner struct {
	name string
	uses int // calls of Taken
	end  context.CancelFunc
	done sync.WaitGroup
	held held
}

// Taken is that of [session.Store]. An owner that is told by a channel misses what is said while the connection is away: so when it comes back, all that the owner has is
// looked at; and some of it every five seconds, in turn.
func (s *Store) Taken(name string, f func(client string, id session.ID, fence uint64)) (stop func()) {
	unlisten := s.local.Taken(name, f)
	s.mu.Lock()
	o := s.owners[name]
	if o == nil {
		ctx, cancel := context.WithCancel(context.Background())
		o = &owner{name: name, end: cancel}
		s.owners[name] = o
		o.done.Go(func() { s.live(ctx, o) })
		o.done.Go(func() { s.listen(ctx, o) })
	}
	o.uses++
	s.mu.Unlock()

	return func() {
		s.mu.Lock()
		o.uses--
		last := o.uses == 0
		if last {
			delete(s.owners, name)
		}
		s.mu.Unlock()
		if last {
			o.end()
			o.done.Wait()
			ctx, cancel := context.WithTimeout(context.Background(), alive/3)
			defer cancel()
			// If that fails, the others find out by themselves.
			_ = s.redis.Set(ctx, s.ownerKey(name), "gone", gone).Err()
		}
		unlisten()
	}
}

func (s *Store) ownerKey(name string) string { return s.redis.Key("o", name, "") }

// channel is where an owner is told.
func (s *Store) channel(name string) string { return s.redis.Prefix() + "taken:" + name }

// live says that an owner does, and looks whether what it has is its own still.
func (s *Store) live(ctx context.Context, o *owner) {
	beat := time.NewTicker(s.alive / 3)
	defer beat.Stop()
	for {
		// Bounded, so that one that hangs does not eat the time of the next.
		sctx, cancel := context.WithTimeout(ctx, s.alive/3)
		before, err := s.redis.SetArgs(sctx, s.ownerKey(o.name), "1", goredis.SetArgs{TTL: s.alive, Get: true}).Result()
		cancel()
		s.judge(before, err)
		if err == nil || errors.Is(err, goredis.Nil) {
			s.check(ctx, o, checkSome)
		}
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
		}
	}
}

// judge notes whether other owners' silence means something. Where this one's own word was forgotten, or did not get through, theirs may have been, too: they get the time to
// say it again.
func (s *Store) judge(before string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil && before != "":
		// Sound since the first word, or since the last time that it was not.
	case errors.Is(err, goredis.Nil):
		s.sound = time.Now()
	default:
		s.sound = time.Time{}
	}
	if s.sound.IsZero() && err == nil {
		s.sound = time.Now()
	}
}

// ownerGone returns nil if an owner does not live, session.ErrOwned if it does or may, or why it is not known.
func (s *Store) ownerGone(ctx context.Context, name string) error {
	word, err := s.redis.Get(ctx, s.ownerKey(name)).Result()
	switch {
	case errors.Is(err, goredis.Nil):
		s.mu.Lock()
		defer s.mu.Unlock()
		// Others say their word every third of the time, and may be late.
		if s.sound.IsZero() || time.Since(s.sound) < s.alive*4/3 {
			return session.ErrOwned
		}
		return nil
	case err != nil:
		return s.redis.Err(err)
	case word == "gone":
		return nil
	}
	return session.ErrOwned
}

// listen has an owner told of what is said on its channel.
func (s *Store) listen(ctx context.Context, o *owner) {
	sub := s.redis.Subscribe(ctx, s.channel(o.name))
	defer sub.Close()
	said := sub.ChannelWithSubscriptions(goredis.WithChannelSize(1000), goredis.WithChannelHealthCheckInterval(s.alive/3))
	for {
		select {
		case <-ctx.Done():
			return
		case m, ok := <-said:
			if !ok {
				return
			}
			switch m := m.(type) {
			case *goredis.Subscription:
				s.check(ctx, o, checkAll)
			case *goredis.Message:
				if t, ok := parseTaken(m.Payload); ok && o.held.taken(t) {
					s.local.Tell(o.name, t.client, t.id, t.fence)
				}
			}
		}
	}
}

// taken is what is said on an owner's channel.
type taken struct {
	client string
	id     session.ID
	fence  uint64
}

func parseTaken(text string) (t taken, ok bool) {
	id, rest, ok := strings.Cut(text, " ")
	if !ok {
		return t, false
	}
	fence, client, ok := strings.Cut(rest, " ")
	if !ok {
		return t, false
	}
	t.client = client
	var err error
	t.fence, err = strconv.ParseUint(fence, 10, 64)
	t.id, ok = parseID(id)
	return t, ok && err == nil
}
