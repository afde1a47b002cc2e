package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/queue/sqlite"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// withSessions is a handler that has sessions, in memory, and a backend.
const withSessions = `
		${gateway} {
			route {
				gopr devices {
					sessions {
						park 30s
					}
					queue {
						capacity 1000 1MiB
					}
					upstream ${backend}
				}
			}
		}
`

// A station is a backend that notes what comes one-way, and says something to whoever says something to it first.
type station struct {
	*backend
	mu    sync.Mutex
	got   []string
	conns []net.Conn // of clients, in the order in which they first said something
}

// cmdSay is what the station says to clients.
const cmdSay = 0x41

func newStation(t testing.TB) *station {
	s := &station{}
	s.backend = newBackend(t, func(nc net.Conn, _ <-chan struct{}) {
		d := &device{Conn: nc, forever: true}
		said := false
		for {
			f, err := d.next()
			if err != nil {
				return
			}
			switch {
			case f.Cmd == wire.CmdPing && f.Flag == wire.FlagReq:
				if _, err := nc.Write(wire.AppendFrame(nil, wire.CmdPong, wire.FlagRsp, f.Payload)); err != nil {
					return
				}
			case f.Flag&wire.FlagReq != 0:
				if _, err := nc.Write(wire.AppendFrame(nil, uint8(f.Cmd), wire.FlagRsp, f.Payload)); err != nil {
					return
				}
			default:
				s.mu.Lock()
				s.got = append(s.got, string(f.Payload))
				if !said {
					said = true
					s.conns = append(s.conns, nc)
				}
				s.mu.Unlock()
			}
		}
	})
	return s
}

func (s *station) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

// say writes a frame that asks for nothing over the last link on which something was said.
func (s *station) say(payload string) error {
	s.mu.Lock()
	nc := s.conns[len(s.conns)-1]
	s.mu.Unlock()
	_, err := nc.Write(wire.AppendFrame(nil, cmdSay, 0, []byte(payload)))
	return err
}

// fragile dials connections whose sockets can be closed all at once, as a network does that fails.
type fragile struct {
	mu    sync.Mutex
	conns []net.Conn
}

func (f *fragile) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, network, addr)
	if err == nil {
		f.mu.Lock()
		f.conns = append(f.conns, nc)
		f.mu.Unlock()
	}
	return nc, err
}

func (f *fragile) fail() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, nc := range f.conns {
		_ = nc.(*net.TCPConn).SetLinger(0)
		_ = nc.Close()
	}
	f.conns = nil
}

// run runs a client of the SDK until the test, or stop, ends it.
func runSDK(t testing.TB, addr string, o client.Options) (c *client.Client, stop func()) {
	t.Helper()
	if o.Reconnect.Initial == 0 {
		o.Reconnect = client.Reconnect{Initial: 10 * time.Millisecond, Max: 100 * time.Millisecond, Attempts: -1}
	}
	c, err := client.New(addr, o)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = c.Run(context.Background())
	}()
	stop = func() {
		_ = c.Close()
		<-ended
	}
	t.Cleanup(stop)
	return c, stop
}

// TestSDKNothingLost: connections that are reset at any moment cost nothing: what was published arrives once and in order, and so does what the backend says meanwhile.
func TestSDKNothingLost(t *testing.T) {
	s := newStation(t)
	gateway := start(t, config(withSessions), places{"backend": s.addr})
	var mu sync.Mutex
	var came []string
	cable := &fragile{}
	c, _ := runSDK(t, gateway.addr("gateway"), client.Options{
		Dial: cable.dial,
		Session: &client.SessionOptions{ClientID: "device", CRC: true, OnMessage: func(m client.Message) {
			mu.Lock()
			defer mu.Unlock()
			came = append(came, string(m.Payload))
		}},
	})
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience) // of many steps
	defer cancel()
	check(t, c.Publish(ctx, 0x20, []byte("message 0"), 2))
	eventually(t, "it has arrived", func() bool { return len(s.all()) == 1 })

	const messages = 1000
	var all sync.WaitGroup
	all.Go(func() {
		for i := 1; i < messages; i++ {
			if err := s.say(fmt.Sprint("word ", i)); err != nil {
				t.Error(err)
				return
			}
			if i%20 == 0 {
				time.Sleep(10 * time.Millisecond)
			}
		}
	})
	published := make(chan struct{})
	all.Go(func() {
		for {
			select {
			case <-published:
				return
			case <-time.After(time.Duration(rand.IntN(50)) * time.Millisecond):
				cable.fail()
			}
		}
	})
	var receipts []*client.Receipt
	want, words := []string{"message 0"}, []string{}
	for i := 1; i < messages; i++ {
		want, words = append(want, fmt.Sprint("message ", i)), append(words, fmt.Sprint("word ", i))
		r, err := c.Enqueue(ctx, 0x20, []byte(want[i]), 1+uint8(i)%2)
		check(t, err)
		receipts = append(receipts, r)
		if i%20 == 0 {
			time.Sleep(10 * time.Millisecond)
		}
	}
	close(published)
	for _, r := range receipts {
		check(t, r.Wait(ctx))
	}
	all.Wait()
	eventually(t, "all has arrived", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(s.all()) >= len(want) && len(came) >= len(words)
	})
	if got := s.all(); !slices.Equal(got, want) {
		t.Errorf("%d messages arrived, of %d: %q", len(got), len(want), got)
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(came, words) {
		t.Errorf("%d words came, of %d: %q", len(came), len(words), came)
	}
	st := c.Status()
	t.Logf("%d connections, %+v", st.Connects, st.Session)
	if st.Session.Begun != 1 || st.Session.Resumes == 0 {
		t.Errorf("%+v", st.Session)
	}
}

// TestSDKDurable: what a device has queued in a file, while there was no gateway, goes out when it is started again; and its session goes on.
func TestSDKDurable(t *testing.T) {
	s := newStation(t)
	gateway := start(t, config(withSessions), places{"backend": s.addr})
	dir := t.TempDir()
	open := func() *sqlite.Store {
		q, err := sqlite.Open(filepath.Join(dir, "queue.db"), queue.Bounds{}, nil)
		check(t, err)
		return q
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience) // of many steps
	defer cancel()
	var mu sync.Mutex
	var came []string
	options := func(q queue.Store) *client.SessionOptions {
		return &client.SessionOptions{
			ClientID: "device", Queue: q, Tickets: client.TicketFile(filepath.Join(dir, "ticket")),
			OnMessage: func(m client.Message) {
				mu.Lock()
				defer mu.Unlock()
				came = append(came, string(m.Payload))
			},
		}
	}
	var want []string
	for run := range 4 {
		q := open()
		addr := gateway.addr("gateway")
		away := run%2 == 1 // in every second run the gateway cannot be reached
		if away {
			addr = freeAddr(t)
		}
		c, stop := runSDK(t, addr, client.Options{Session: options(q)})
		for i := range 20 {
			want = append(want, fmt.Sprint(run, " ", i))
			r, err := c.Enqueue(ctx, 0x20, []byte(want[len(want)-1]), 1+uint8(i)%2)
			check(t, err)
			if !away && i == 0 {
				check(t, r.Wait(ctx))
			}
		}
		if !away {
			eventually(t, "all has arrived", func() bool { return len(s.all()) == len(want) })
			check(t, s.say(fmt.Sprint("word ", run)))
			eventually(t, "the word has come", func() bool { mu.Lock(); defer mu.Unlock(); return len(came) == run/2+1 })
			if st := c.Status().Session; st.Begun > 0 != (run == 0) {
				t.Errorf("run %d: %+v", run, st)
			}
		}
		stop()
		check(t, q.Close())
	}
	q := open()
	c, stop := runSDK(t, gateway.addr("gateway"), client.Options{Session: options(q)})
	check(t, c.Bye(ctx))
	stop()
	if left, err := q.List(ctx, queue.Filter{}); err != nil || len(left) > 0 {
		t.Errorf("%d messages are left, %v", len(left), err)
	}
	check(t, q.Close())
	eventually(t, "all has arrived", func() bool { return len(s.all()) >= len(want) })
	if got := s.all(); !slices.Equal(got, want) {
		t.Errorf("arrived: %q", got)
	}
}

// TestSDKTakeover: who comes later has the session, and the one before does not fight.
func TestSDKTakeover(t *testing.T) {
	s := newStation(t)
	gateway := start(t, config(withSessions), places{"backend": s.addr})
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience) // of many steps
	defer cancel()
	first, _ := runSDK(t, gateway.addr("gateway"), client.Options{Session: &client.SessionOptions{ClientID: "device"}})
	check(t, first.Publish(ctx, 0x20, []byte("first"), 2))
	second, _ := runSDK(t, gateway.addr("gateway"), client.Options{Session: &client.SessionOptions{ClientID: "device"}})
	check(t, second.Publish(ctx, 0x20, []byte("second"), 2))
	check(t, first.Wait(ctx, client.Paused))
	if err := first.Status().LastErr; !errors.Is(err, client.ErrTakenOver) {
		t.Errorf("the first: %v", err)
	}
	check(t, second.Publish(ctx, 0x20, []byte("second still"), 2))
	if n := second.Status().Connects; n != 1 {
		t.Errorf("the second has connected %d times", n)
	}
}

// TestSDKDrain: a gateway that sends its clients away says when to come back, and that is what they do.
func TestSDKDrain(t *testing.T) {
	s := newStation(t)
	gateway := start(t, config(withSessions), places{"backend": s.addr})
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience) // of many steps
	defer cancel()
	// By itself it would not come back before the test is over.
	c, _ := runSDK(t, gateway.addr("gateway"), client.Options{
		Reconnect: client.Reconnect{Initial: time.Hour, Max: time.Hour}, Session: &client.SessionOptions{ClientID: "device"},
	})
	check(t, c.Publish(ctx, 0x20, []byte("before"), 1))
	status, body, err := gateway.admin(http.MethodPost, "/gopr/drain?grace=0s&drain=2s", "")
	if err != nil || status != http.StatusOK {
		t.Fatal(status, body, err)
	}
	check(t, c.Wait(ctx, client.Reconnecting))
	var away *client.GoAwayError
	if st := c.Status(); !errors.As(st.LastErr, &away) || away.Reason != wire.GoAwayDrain || away.After <= 0 {
		t.Fatalf("%v: %v", st.State, st.LastErr)
	}
	status, body, err = gateway.admin(http.MethodDelete, "/gopr/drain", "")
	if err != nil || status != http.StatusOK {
		t.Fatal(status, body, err)
	}
	check(t, c.Publish(ctx, 0x20, []byte("after"), 2))
	if st := c.Status(); !st.Session.Resumed || st.Connects != 2 {
		t.Errorf("%+v", st)
	}
}
