package memory_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/queue/memory"
	"github.com/caddy-gopr/caddy-gopr/queue/queuetest"
)

func TestStore(t *testing.T) {
	defer goleak.VerifyNone(t)
	queuetest.Run(t, func(*testing.T) queuetest.Place {
		return func(_ *testing.T, b queue.Bounds, now func() time.Time) queue.Store { return memory.New(b, now) }
	}, queuetest.Options{})
}

// TestSweep: what nobody asks about is forgotten all the same.
func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(queue.Bounds{}, nil)
		defer s.Close()
		id := queue.SessionID{1}
		if _, _, err := s.Open(context.Background(), id, 1); err != nil {
			t.Fatal(err)
		}
		m := &queue.Message{ID: 1, Created: time.Now(), Expires: time.Now().Add(time.Minute), Payload: []byte("x")}
		s.Do(&queue.Batch{Box: queue.Box{Session: id}, Fence: 1, Ops: []queue.Op{{Kind: queue.Put, Message: m}}})
		synctest.Wait()
		if st := s.Stat(); st.Messages != 1 || !st.Oldest.Equal(m.Created) {
			t.Fatalf("%+v", st)
		}
		time.Sleep(2 * time.Minute)
		if st := s.Stat(); st.Messages != 0 || st.Bytes != 0 || st.Expired != 1 || !st.Oldest.IsZero() {
			t.Errorf("a minute after its time: %+v", st)
		}
	})
}

func BenchmarkStore(b *testing.B) {
	s := memory.New(queue.Bounds{}, nil)
	defer s.Close()
	queuetest.Benchmark(b, s)
}
