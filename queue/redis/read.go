package redis

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"math"
	"slices"

	goredis "github.com/redis/go-redis/v9"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

// Read implements [queue.Store].
func (s *Store) Read(ctx context.Context, b queue.Box, after uint64, most, mostBytes int) ([]queue.Message, error) {
	if !s.open() {
		return nil, queue.ErrClosed
	}
	for after < math.MaxInt64 && most > 0 {
		out, last, more, err := s.readSome(ctx, b, after, most, mostBytes)
		if err != nil {
			return nil, s.redis.Err(err)
		}
		if len(out) > 0 || !more {
			return out, nil
		}
		after = last // all of these have expired
	}
	return nil, nil
}

// readSome returns messages with ids above after up to last, and whether there are more.
func (s *Store) readSome(ctx context.Context, b queue.Box, after uint64, most, mostBytes int) (out []queue.Message, last uint64, more bool, err error) {
	answer, err := readScript.Run(ctx, s.redis, s.boxKeys(b), decimal(after+1), most, mostBytes).Slice()
	if err != nil {
		return nil, 0, false, err
	}
	if len(answer) != 3 {
		return nil, 0, false, errDamaged
	}
	more, last = answer[0] == int64(1), uint64(math.MaxUint64)
	inside, err := messages(answer[1])
	if err != nil {
		return nil, 0, false, err
	}
	aside, err := messages(answer[2])
	if err != nil {
		return nil, 0, false, err
	}
	if more {
		last = inside[len(inside)-1].ID
	}
	for _, m := range aside {
		if m.State == queue.Acknowledged && m.ID > after && m.ID <= last {
			inside = append(inside, m)
		}
	}
	now := s.now()
	out = slices.DeleteFunc(inside, func(m queue.Message) bool { return over(&m, now) })
	slices.SortFunc(out, byID)
	return out[:min(len(out), most)], last, more, nil
}

func byID(a, b queue.Message) int { return cmp.Compare(a.ID, b.ID) }

// messages reads ids and messages in turn.
func messages(list any) (all []queue.Message, err error) {
	values, _ := list.([]any)
	for i := 0; i+1 < len(values); i += 2 {
		id, _ := values[i].(string)
		text, _ := values[i+1].(string)
		m, err := decode(id, text)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// Backlog implements [queue.Store].
func (s *Store) Backlog(ctx context.Context, d queue.Direction, f func(queue.SessionID, queue.Info) bool) error {
	if !s.open() {
		return queue.ErrClosed
	}
	return s.eachFull(ctx, &d, func(ids []queue.SessionID) (bool, error) {
		looks := make([]*goredis.Cmd, len(ids))
		err := s.pipe(func(p goredis.Pipeliner) {
			for i, id := range ids {
				looks[i] = s.loading(ctx, p, "look", id, 0, 0, [2]mark{})
			}
		})
		if err != nil {
			return false, err
		}
		for i, id := range ids {
			found, err := parseFound(looks[i].Val())
			if err != nil {
				return false, s.redis.Err(err)
			}
			if info := found.info(d, s.now()); info.Messages > info.Failed && !f(id, info) {
				return false, nil
			}
		}
		return true, nil
	})
}

// eachFull calls f for sessions that have messages, some at a time, each once.
func (s *Store) eachFull(ctx context.Context, d *queue.Direction, f func([]queue.SessionID) (more bool, err error)) error {
	done := make(map[queue.SessionID]bool)
	return s.redis.Scan(ctx, s.redis.Pattern("q"), func(keys []string) (bool, error) {
		var ids []queue.SessionID
		for _, key := range keys {
			var id queue.SessionID
			slot, rest, ok := s.redis.Slot("q", key)
			if !ok || rest == "" || d != nil && (rest[0] == 'u') != (*d == queue.Up) || len(slot) != hex.EncodedLen(len(id)) {
				continue
			}
			if _, err := hex.Decode(id[:], []byte(slot)); err == nil && !done[id] {
				done[id] = true
				ids = append(ids, id)
			}
		}
		if len(ids) == 0 {
			return true, nil
		}
		return f(ids)
	})
}

// List implements [queue.Store].
func (s *Store) List(ctx context.Context, f queue.Filter) ([]queue.Entry, error) {
	if !s.open() {
		return nil, queue.ErrClosed
	}
	if f.Limit <= 0 {
		f.Limit = 1000
	}
	var out []queue.Entry
	list := func(ids []queue.SessionID) (more bool, err error) {
		for _, id := range ids {
			if out, err = s.appendList(ctx, out, id, &f); err != nil || len(out) >= f.Limit {
				return false, err
			}
		}
		return true, nil
	}
	var err error
	if f.Session != nil {
		_, err = list([]queue.SessionID{*f.Session})
	} else {
		var all []queue.SessionID
		err = s.eachFull(ctx, f.Direction, func(ids []queue.SessionID) (bool, error) {
			for _, id := range ids {
				if _, has := f.Behind(queue.Box{Session: id, Direction: queue.Down}); has || f.Direction != nil {
					all = append(all, id)
				}
			}
			return true, nil
		})
		slices.SortFunc(all, func(a, b queue.SessionID) int { return bytes.Compare(a[:], b[:]) })
		if err == nil {
			_, err = list(all)
		}
	}
	return out[:min(len(out), f.Limit)], err
}

// appendList adds a session's messages.
func (s *Store) appendList(ctx context.Context, out []queue.Entry, id queue.SessionID, f *queue.Filter) ([]queue.Entry, error) {
	for d := queue.Up; d <= queue.Down; d++ {
		b := queue.Box{Session: id, Direction: d}
		after, has := f.Behind(b)
		if !has {
			continue
		}
		keys := s.boxKeys(b)
		var inside *goredis.XMessageSliceCmd
		var aside *goredis.MapStringStringCmd
		_, err := s.redis.Pipelined(ctx, func(p goredis.Pipeliner) error {
			inside = p.XRange(ctx, keys[0], "-", "+")
			aside = p.HGetAll(ctx, keys[1])
			return nil
		})
		if err != nil {
			return out, s.redis.Err(err)
		}
		all, err := listed(inside.Val(), aside.Val())
		if err != nil {
			return out, s.redis.Err(err)
		}
		for _, m := range all {
			if m.ID > after && !over(&m, s.now()) && (f.State == nil || *f.State == m.State) {
				out = append(out, queue.Entry{Box: b, Message: m})
			}
		}
	}
	return out, nil
}

// listed returns the messages of a box.
func listed(inside []goredis.XMessage, aside map[string]string) ([]queue.Message, error) {
	var all []queue.Message
	add := func(id, text string) error {
		m, err := decode(id, text)
		all = append(all, m)
		return err
	}
	for _, e := range inside {
		text, _ := e.Values["m"].(string)
		if err := add(e.ID, text); err != nil {
			return nil, err
		}
	}
	for id, text := range aside {
		if err := add(id, text); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, byID)
	return all, nil
}
