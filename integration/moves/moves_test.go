// Package moves has a device move between gateways that share a Redis, under traffic both ways.
//
//	moves_test.go    the test, and its services
//	device_test.go   the device
//	backend_test.go  a backend that acknowledges
package moves

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caddy-gopr/caddy-gopr/delivery"
	"github.com/caddy-gopr/caddy-gopr/queue"
	queueredis "github.com/caddy-gopr/caddy-gopr/queue/redis"
	sessionredis "github.com/caddy-gopr/caddy-gopr/session/redis"
	"github.com/caddy-gopr/caddy-gopr/store/redis/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is that of a gateway, with stores of its own to the Redis that all share.
func service(t *testing.T, name, url string, b *backend) *delivery.Service {
	t.Helper()
	sessions, err := sessionredis.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := queueredis.Open(url, queue.Bounds{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	v, err := delivery.NewService(delivery.Config{
		Name: "test", Owner: name, Sessions: sessions, Queue: messages, Lease: b.lease, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}, delivery.Settings{Park: time.Minute, MaxRetries: 3, Extended: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = v.Close()
		_ = messages.Close()
		_ = sessions.Close()
	})
	return v
}

// TestMoves: nothing is lost, doubled or out of order. GOPR_MOVES says how often the device moves; 200 times unless it does.
func TestMoves(t *testing.T) {
	moves := 200
	if text := os.Getenv("GOPR_MOVES"); text != "" {
		var err error
		if moves, err = strconv.Atoi(text); err != nil {
			t.Fatalf("GOPR_MOVES is a number, not %q", text)
		}
	}
	url := redistest.Start(t).URL
	b := &backend{t: t, wake: make(chan struct{}, 1)}
	t.Cleanup(b.wg.Wait)
	d := &device{t: t, name: "meter-17", backend: b, unacked: make(map[uint64]uint64)}
	for i := range 2 {
		d.services = append(d.services, service(t, fmt.Sprint("gateway ", i), url, b))
	}

	began := time.Now()
	d.come(0)
	for d.moves = 1; d.moves <= moves; d.moves++ {
		sent, received := d.acked+1, d.received+1
		b.allow(received + 2*window)
		switch rand.N(5) {
		case 0: // at once, with all under way
		case 1: // as soon as anything moves
			d.until("anything", d.sent+window, func() bool { return d.acked >= sent || d.received >= received })
		default:
			d.until("traffic both ways", d.sent+window, func() bool { return d.acked >= sent && d.received >= received })
		}
		d.publish(d.sent + window)
		d.leave(rand.N(2) == 0)
		d.come(d.moves % 2)
	}
	b.mu.Lock()
	upTo := b.upTo
	b.mu.Unlock()
	d.until("the rest", d.sent, func() bool { return d.acked == d.sent && d.received == upTo && b.got() == d.sent })
	d.leave(true)

	b.mu.Lock()
	t.Logf("%d moves in %v: %d messages to the backend and %d to the device, each once and in order; %d links", moves, time.Since(began).Round(time.Millisecond), b.received, d.received, b.hellos)
	b.mu.Unlock()
	var repeats [2]uint64
	for _, v := range d.services {
		st := v.Stat()
		repeats[0] += st.Redelivered[queue.Up]
		repeats[1] += st.Redelivered[queue.Down]
	}
	t.Logf("sent again: %d to the backend, %d to the device", repeats[0], repeats[1])
}
