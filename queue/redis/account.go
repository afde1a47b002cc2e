package redis

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

// account is what the store knows of a session besides what the ledger does. It is the worker's own.
type account struct {
	fence uint64
	call  uint64                 // the number of the last one
	aside [2]map[uint64]struct{} // by direction: ids of those Acknowledged
	until [2]int64               // by direction: when (ms) the keys expire, after all that was put there; or never. 0: not known
	keep  time.Time              // when the session is to be kept for longer
	used  time.Time

	// A call has failed, and perhaps was carried out: the session is to be loaded before the next.
	unknown bool
	undo    [2]mark // by direction: what came after it was told to have failed
}

// mark is how far a box has come, at one moment.
type mark struct {
	known bool // else it is none
	last  uint64
	seen  uint64
}

// args are a mark's for load.lua: the highest id, and what was seen; "": it is none.
func (m mark) args() (last, seen string) {
	if !m.known {
		return "", ""
	}
	return decimal(m.last), decimal(m.seen)
}

// keys are those of a session, as the scripts want them.
func (s *Store) keys(id queue.SessionID) []string {
	slot := hex.EncodeToString(id[:])
	keys := make([]string, 0, 5)
	for _, rest := range []string{"", "u", "ua", "d", "da"} {
		keys = append(keys, s.redis.Key("q", slot, rest))
	}
	return keys
}

// boxKeys are those of a box.
func (s *Store) boxKeys(b queue.Box) []string { return s.keys(b.Session)[1+2*b.Direction:][:2] }

// found is what the Redis knows of a session.
type found struct {
	fenced  bool
	call    uint64
	last    [2]uint64
	seen    [2]uint64
	entries [2][]entry // by id
}

// loading sends the script that finds out.
func (s *Store) loading(ctx context.Context, p goredis.Pipeliner, mode string, id queue.SessionID, fence, undoes uint64, undo [2]mark) *goredis.Cmd {
	lastUp, seenUp := undo[queue.Up].args()
	lastDown, seenDown := undo[queue.Down].args()
	return loadScript.EvalSha(ctx, p, s.keys(id), mode, fence, kept.Milliseconds(), lastUp, lastDown, undoes, seenUp, seenDown)
}

// parseFound reads its answer.
func parseFound(answer any) (f found, err error) {
	values, _ := answer.([]any)
	if len(values) == 1 && values[0] == "fenced" {
		f.fenced = true
		return f, nil
	}
	if len(values) != 9 {
		return f, errDamaged
	}
	call, _ := values[0].(int64)
	f.call = uint64(call)
	for i, to := range []*uint64{&f.last[0], &f.seen[0], &f.last[1], &f.seen[1]} {
		if *to, err = parseID(values[1+i]); err != nil {
			return f, err
		}
	}
	for d := range 2 {
		for _, list := range values[5+2*d : 7+2*d] {
			if f.entries[d], err = appendEntries(f.entries[d], list); err != nil {
				return f, err
			}
		}
		slices.SortFunc(f.entries[d], func(a, b entry) int { return cmp.Compare(a.ID, b.ID) })
	}
	return f, nil
}

func appendEntries(to []entry, list any) ([]entry, error) {
	values, _ := list.([]any)
	for i := 0; i+2 < len(values); i += 3 {
		header, _ := values[i+1].(string)
		size, _ := values[i+2].(int64)
		if len(header) != headerSize || size < 0 {
			return nil, errDamaged
		}
		h := []byte(header)
		e := entry{
			Created: int64(binary.BigEndian.Uint64(h[5:])), Expires: int64(binary.BigEndian.Uint64(h[13:])), Size: uint32(size),
			State: queue.State(h[3]), Retries: h[4],
		}
		var err error
		if e.ID, err = parseID(values[i]); err != nil {
			return nil, err
		}
		to = append(to, e)
	}
	return to, nil
}

// info is the state of a box.
func (f *found) info(d queue.Direction, now time.Time) queue.Info {
	i := queue.Info{Last: f.last[d], Seen: f.seen[d]}
	for _, e := range f.entries[d] {
		if e.Expires != 0 && e.Expires <= now.UnixMilli() {
			continue
		}
		i.Messages++
		i.Bytes += int64(e.Size) + 64
		if e.State == queue.Failed {
			i.Failed++
		} else if i.Oldest.IsZero() {
			i.Oldest = time.UnixMilli(e.Created)
		}
	}
	return i
}

// learn begins a session's account with what was found. It is called with the lock held.
func (s *Store) learn(id queue.SessionID, fence uint64, f *found) {
	s.ledger.Remove(id)
	a := &account{fence: fence, call: f.call, keep: s.now().Add(kept / 2), used: s.now()}
	s.accounts[id] = a
	session := s.ledger.Add(id)
	session.Fence = fence
	for d := range 2 {
		x := session.Box(queue.Direction(d))
		x.Last, x.Seen = f.last[d], f.seen[d]
		for _, e := range f.entries[d] {
			s.ledger.Load(x, e)
			if e.State == queue.Acknowledged {
				a.noteAside(d, e.ID)
			}
		}
	}
}

// drop forgets what is known of a session. It is called with the lock held.
func (s *Store) drop(id queue.SessionID) {
	s.ledger.Remove(id)
	delete(s.accounts, id)
}

func (a *account) noteAside(d int, id uint64) {
	if a.aside[d] == nil {
		a.aside[d] = make(map[uint64]struct{})
	}
	a.aside[d][id] = struct{}{}
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }
