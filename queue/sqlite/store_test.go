package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/queue/queuetest"
	"github.com/caddy-gopr/caddy-gopr/queue/sqlite"
)

func TestStore(t *testing.T) {
	defer goleak.VerifyNone(t)
	queuetest.Run(t, func(t *testing.T) queuetest.Place {
		path := filepath.Join(t.TempDir(), "gopr.db")
		return func(t *testing.T, b queue.Bounds, now func() time.Time) queue.Store {
			s, err := sqlite.Open(path, b, now)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	}, queuetest.Options{Durable: true})
}

func BenchmarkStore(b *testing.B) {
	s, err := sqlite.Open(filepath.Join(b.TempDir(), "gopr.db"), queue.Bounds{}, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	queuetest.Benchmark(b, s)
}
