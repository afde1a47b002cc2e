// Package redis keeps sessions in a Redis, which several gateways share.
//
//	store.go     a session's life, step by step
//	find.go      what is there: Get, Find, List
//	record.go    a record as a hash
//	scripts.go   the steps that change one, in Lua
//	owners.go    which owners live, for all gateways to see
//	held.go      what an owner has, so that it misses nothing that is taken from it
//
// The keys, behind the prefix of the URL:
//
//	s:{client}          a hash: the session that a client may resume. It lives for as long as the session
//	s:{client}:id       a hash: one that was replaced
//	i:{id}              the client, so that a session is found by its id. It lives for an hour longer
//	o:{owner}           "1" while the owner lives, renewed every 5 s; "gone" when it has said so
//	taken:owner         a channel, on which the owner is told: id, fence and client
//
// All keys of a client are in one slot of a cluster.
package redis

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/caddy-gopr/caddy-gopr/session"
	"github.com/caddy-gopr/caddy-gopr/store/redis"
)

// retries are made of each step whose answer was lost: a token that is spent can't be shown to another try, but the step can be done again.
const retries = 2

// Open opens the store at a URL; see docs/redis.md. It does not wait for the Redis: while that is away, each method says so.
func Open(url string) (*Store, error) {
	r, err := redis.Open(url, retries)
	if err != nil {
		return nil, err
	}
	return &Store{redis: r, alive: alive, ownersState: ownersState{owners: make(map[string]*owner)}}, nil
}

// Store is a [session.Store].
type Store struct {
	redis *redis.Redis
	local session.Owners // have those of this store told
	alive time.Duration  // how long an owner is taken to live without a word of it

	ownersState
}

// Health says how the Redis does.
func (s *Store) Health() redis.Health { return s.redis.Health() }

// String names the Redis, without its password.
func (s *Store) String() string { return s.redis.String() }

// Begin is that of [session.Store].
func (s *Store) Begin(ctx context.Context, r, over session.Record) (session.Record, *session.Record, error) {
	done := s.enter(r.Owner)
	stored, replaced, err := s.begin(ctx, r, over)
	if err != nil {
		done()
		return session.Record{}, nil, err
	}
	if replaced != nil {
		done(&stored, replaced)
	} else {
		done(&stored)
	}
	return stored, replaced, nil
}

func (s *Store) begin(ctx context.Context, r, over session.Record) (session.Record, *session.Record, error) {
	lasts := time.Until(r.Seen.Add(r.Expiry))
	// The index comes first: it does no harm without a session.
	if err := s.redis.Set(ctx, s.index(r.ID), r.Client, max(lasts, 0)+indexExtra).Err(); err != nil {
		return r, nil, s.redis.Err(err)
	}
	args := append([]any{hex.EncodeToString(over.ID[:]), over.Fence, r.Owner, s.channel(""), lasts.Milliseconds(), hex.EncodeToString(r.ID[:])}, fields(&r)...)
	answer, err := s.redis.Run(ctx, beginScript, s.keys(r.Client, over.ID), args...)
	if err != nil {
		return r, nil, err
	}
	values, _ := answer.([]any)
	if len(values) != 2 {
		// Its index may go now or later.
		_ = s.redis.Del(ctx, s.index(r.ID)).Err()
		return r, nil, session.ErrChanged
	}
	was, err := record(pairs(values[1]))
	if err != nil && !errors.Is(err, session.ErrUnknown) {
		return r, nil, s.redis.Err(err)
	}
	r.Fence, err = parseFence(values[0])
	r.Since, r.Seen = time.UnixMilli(r.Since.UnixMilli()), time.UnixMilli(r.Seen.UnixMilli())
	if was.Client == "" {
		return r, nil, s.redis.Err(err)
	}
	return r, &was, s.redis.Err(err)
}

// Resume is that of [session.Store].
func (s *Store) Resume(ctx context.Context, c session.Claim) (session.Record, error) {
	done := s.enter(c.Owner)
	r, err := s.resume(ctx, c)
	if err != nil {
		done()
		return session.Record{}, err
	}
	done(&r)
	return r, nil
}

func (s *Store) resume(ctx context.Context, c session.Claim) (r session.Record, err error) {
	shown, next, certificate := c.Token.Hash(), c.Token.Next(c.Salt).Hash(), []byte(nil)
	if c.Certificate != (session.Hash{}) {
		certificate = c.Certificate[:]
	}
	answer, err := s.redis.Run(ctx, resumeScript, []string{s.key(c.Client)}, shown[:], next[:], c.Salt[:], certificate, c.Owner, s.channel(""))
	if err != nil {
		return r, err
	}
	values, _ := answer.([]any)
	if len(values) == 2 {
		r, err = record(pairs(values[1]))
		return r, s.redis.Err(err)
	}
	if len(values) == 1 {
		switch values[0] {
		case "unknown":
			return r, session.ErrUnknown
		case "token":
			return r, session.ErrToken
		case "certificate":
			return r, session.ErrCertificate
		}
	}
	return r, s.redis.Err(errDamaged)
}

// Confirm is that of [session.Store].
func (s *Store) Confirm(ctx context.Context, client string, id session.ID, fence uint64) error {
	return s.change(ctx, confirmScript, nil, client, id, fence)
}

// Touch is that of [session.Store].
func (s *Store) Touch(ctx context.Context, client string, id session.ID, fence uint64, seen time.Time, expiry time.Duration) error {
	lasts := time.Until(seen.Add(expiry))
	index := func(p goredis.Pipeliner) { p.PExpire(ctx, s.index(id), max(lasts, 0)+indexExtra) }
	return s.change(ctx, touchScript, index, client, id, fence, seen.UnixMilli(), expiry.Milliseconds(), lasts.Milliseconds())
}

// End is that of [session.Store].
func (s *Store) End(ctx context.Context, client string, id session.ID, fence uint64) error {
	if err := s.change(ctx, endScript, nil, client, id, fence); err != nil {
		return err
	}
	s.ended(id, fence)
	// The session has ended, whether its index goes now or later.
	_ = s.redis.Del(ctx, s.index(id)).Err()
	return nil
}

// change runs a script that wants the session's fence, and sends something else with it.
func (s *Store) change(ctx context.Context, script *goredis.Script, with func(goredis.Pipeliner), client string, id session.ID, fence uint64, args ...any) error {
	answer, err := s.redis.RunWith(ctx, with, script, s.keys(client, id), append([]any{hex.EncodeToString(id[:]), fence}, args...)...)
	if err != nil {
		return err
	}
	if answer != int64(1) {
		return session.ErrFenced
	}
	return nil
}

// Adopt is that of [session.Store].
func (s *Store) Adopt(ctx context.Context, client string, id session.ID, by string) (session.Record, error) {
	done := s.enter(by)
	r, err := s.adopt(ctx, client, id, by)
	if err != nil {
		done()
		return session.Record{}, err
	}
	done(&r)
	return r, nil
}

func (s *Store) adopt(ctx context.Context, client string, id session.ID, by string) (session.Record, error) {
	for {
		r, err := s.get(ctx, client, id)
		if err != nil {
			return r, err
		}
		if r.Owner != by {
			if err := s.ownerGone(ctx, r.Owner); err != nil {
				return r, err
			}
		}
		answer, err := s.redis.Run(ctx, adoptScript, s.keys(client, id), hex.EncodeToString(id[:]), r.Fence, by, s.channel(""))
		if err != nil {
			return r, err
		}
		if r, err = record(pairs(answer)); !errors.Is(err, session.ErrUnknown) {
			return r, s.redis.Err(err)
		}
		// It has changed: what is it now?
	}
}

// Close is that of [session.Store].
func (s *Store) Close() error { return s.redis.Close() }
