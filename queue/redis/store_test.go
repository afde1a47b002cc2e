package redis

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/queue/queuetest"
	"github.com/caddy-gopr/caddy-gopr/store/redis/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var places atomic.Int64

// conformance tests stores at a URL, each with keys of its own.
func conformance(t *testing.T, url string) {
	sep := "?"
	if strings.Contains(url, "?") {
		sep = "&"
	}
	queuetest.Run(t, func(t *testing.T) queuetest.Place {
		url := fmt.Sprintf("%s%sprefix=test%d:", url, sep, places.Add(1))
		return func(t *testing.T, b queue.Bounds, now func() time.Time) queue.Store {
			s, err := Open(url, b, now)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	}, queuetest.Options{Durable: true, Shared: true})
}

func TestStore(t *testing.T) { conformance(t, redistest.Start(t).URL) }
