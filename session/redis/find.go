package redis

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/caddy-gopr/caddy-gopr/session"
)

// indexExtra is how much longer than a session its index lives.
const indexExtra = time.Hour

func (s *Store) key(client string) string { return s.redis.Key("s", client, "") }

func (s *Store) replacedKey(client, id string) string { return s.redis.Key("s", client, ":"+id) }

// keys are where a session may be.
func (s *Store) keys(client string, id session.ID) []string {
	return []string{s.key(client), s.replacedKey(client, hex.EncodeToString(id[:]))}
}

func (s *Store) index(id session.ID) string {
	return s.redis.Key("i", hex.EncodeToString(id[:]), "")
}

// Get is that of [session.Store].
func (s *Store) Get(ctx context.Context, client string) (session.Record, error) {
	hash, err := s.redis.HGetAll(ctx, s.key(client)).Result()
	if err != nil {
		return session.Record{}, s.redis.Err(err)
	}
	return s.read(hash)
}

// Find is that of [session.Store].
func (s *Store) Find(ctx context.Context, id session.ID) (session.Record, error) {
	client, err := s.redis.Get(ctx, s.index(id)).Result()
	switch {
	case errors.Is(err, goredis.Nil):
		return session.Record{}, session.ErrUnknown
	case err != nil:
		return session.Record{}, s.redis.Err(err)
	}
	return s.get(ctx, client, id)
}

// get returns a client's session by its id.
func (s *Store) get(ctx context.Context, client string, id session.ID) (session.Record, error) {
	// In this order: one that is replaced meanwhile goes from the first to the second.
	var found [2]*goredis.MapStringStringCmd
	_, err := s.redis.Pipelined(ctx, func(p goredis.Pipeliner) error {
		for i, key := range s.keys(client, id) {
			found[i] = p.HGetAll(ctx, key)
		}
		return nil
	})
	if err != nil {
		return session.Record{}, s.redis.Err(err)
	}
	for _, cmd := range found {
		if cmd.Val()["id"] == hex.EncodeToString(id[:]) {
			return s.read(cmd.Val())
		}
	}
	return session.Record{}, session.ErrUnknown
}

// read makes a record of a hash. What else is wrong than that there is none is said of this Redis.
func (s *Store) read(hash map[string]string) (session.Record, error) {
	r, err := record(hash)
	if err != nil && !errors.Is(err, session.ErrUnknown) {
		err = s.redis.Err(err)
	}
	return r, err
}

// List is that of [session.Store].
func (s *Store) List(ctx context.Context, f func(session.Record) bool) error {
	seen := make(map[session.ID]bool) // a key may come twice, and a session under the other of its keys
	return s.redis.Scan(ctx, s.redis.Pattern("s"), func(keys []string) (bool, error) {
		hashes := make([]*goredis.MapStringStringCmd, len(keys))
		_, err := s.redis.Pipelined(ctx, func(p goredis.Pipeliner) error {
			for i, key := range keys {
				hashes[i] = p.HGetAll(ctx, key)
			}
			return nil
		})
		if err != nil {
			return false, s.redis.Err(err)
		}
		for _, cmd := range hashes {
			r, err := record(cmd.Val())
			if err != nil || seen[r.ID] {
				continue // it ended meanwhile; or it is nobody's
			}
			seen[r.ID] = true
			if !f(r) {
				return false, nil
			}
		}
		return true, nil
	})
}
