package gateway

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestSharedIsOpenOnce: whatever comes and goes at the same time, nothing is open twice, and what is closed is nobody's any more.
func TestSharedIsOpenOnce(t *testing.T) {
	type thing struct{ open atomic.Int32 }
	var only thing
	s := shared[string, *thing]{close: func(v *thing) error {
		time.Sleep(time.Duration(rand.IntN(50)) * time.Microsecond)
		v.open.Add(-1)
		return nil
	}}
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 200 {
				v, release, err := s.acquire("x", func() (*thing, error) {
					if only.open.Add(1) != 1 {
						t.Error("open twice")
					}
					return &only, nil
				})
				if err != nil {
					t.Error(err)
					return
				}
				if v.open.Load() != 1 {
					t.Error("it is not open")
				}
				_ = release()
				_ = release() // once is all that counts
			}
		})
	}
	all.Wait()
	if only.open.Load() != 0 || len(s.all) != 0 {
		t.Errorf("%d are open, %d remembered", only.open.Load(), len(s.all))
	}
}

// TestSharedFails: what can't be opened is tried anew, and leaves nothing behind.
func TestSharedFails(t *testing.T) {
	s := shared[string, int]{close: func(int) error { return nil }}
	no := errors.New("no")
	if _, _, err := s.acquire("x", func() (int, error) { return 0, no }); !errors.Is(err, no) {
		t.Errorf("got %v", err)
	}
	v, release, err := s.acquire("x", func() (int, error) { return 7, nil })
	if v != 7 || err != nil {
		t.Errorf("got %d and %v", v, err)
	}
	if err := release(); err != nil || len(s.all) != 0 {
		t.Errorf("%v, %d remembered", err, len(s.all))
	}
}
