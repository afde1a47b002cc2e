package authenticate

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// maxVerdicts is how many verdicts are remembered: a fleet of that many devices is found without a new look, in some 8 MB.
const maxVerdicts = 1 << 16

// question is what a verdict is about: an HMAC of it, under a key that no file and no other process has. Whoever reads this memory learns no credential.
type question [sha256.Size]byte

// verdicts remembers what was found of clients, for a while, and never more than max. The zero value is not ready: see newVerdicts.
type verdicts struct {
	key []byte
	max int

	mu         sync.Mutex
	young, old map[question]verdict // what is asked for again moves to the young; the old are forgotten together
}

type verdict struct {
	ok    bool
	until time.Time
}

func newVerdicts(most int) *verdicts {
	v := &verdicts{key: make([]byte, sha256.Size), max: most, young: make(map[question]verdict)}
	_, _ = rand.Read(v.key) // it never fails
	return v
}

// question makes one of its parts.
func (v *verdicts) question(parts ...[]byte) (q question) {
	h := hmac.New(sha256.New, v.key)
	var size [4]byte
	for _, p := range parts { // with their lengths: no two lists of parts are the same bytes
		binary.BigEndian.PutUint32(size[:], uint32(len(p)))
		h.Write(size[:])
		h.Write(p)
	}
	h.Sum(q[:0])
	return q
}

// find returns what was found not long ago. known: there is something.
func (v *verdicts) find(q question, now time.Time) (ok, known bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	found, there := v.young[q]
	if !there {
		if found, there = v.old[q]; there {
			v.put(q, found)
		}
	}
	if !there || !now.Before(found.until) {
		return false, false
	}
	return found.ok, true
}

// note remembers what was found until a time. One that has come already is nothing to remember.
func (v *verdicts) note(q question, ok bool, now, until time.Time) {
	if !until.After(now) {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.put(q, verdict{ok, until})
}

// put is note under the lock.
func (v *verdicts) put(q question, found verdict) {
	if len(v.young) >= v.max/2 {
		v.old, v.young = v.young, make(map[question]verdict)
	}
	v.young[q] = found
}
