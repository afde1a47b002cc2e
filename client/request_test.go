package client

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// asked is a request in a goroutine of its own.
type asked struct {
	frame wire.Frame
	err   error
	done  chan struct{}
}

func ask(ctx context.Context, c *Client, payload string) *asked {
	a := &asked{done: make(chan struct{})}
	go func() {
		defer close(a.done)
		a.frame, a.err = c.Request(ctx, 0x10, []byte(payload))
	}()
	synctest.Wait() // so that requests are sent in the order in which the test makes them
	return a
}

func (a *asked) want(t *testing.T, answer string) {
	t.Helper()
	<-a.done
	if a.err != nil || string(a.frame.Payload) != answer {
		t.Errorf("got answer %q, %v, want %q", a.frame.Payload, a.err, answer)
	}
}

func (a *asked) fails(t *testing.T, want ...error) {
	t.Helper()
	<-a.done
	for _, err := range want {
		if !errors.Is(a.err, err) {
			t.Errorf("got %q, %v, want %v", a.frame.Payload, a.err, err)
		}
	}
}

func (a *asked) waits(t *testing.T) {
	t.Helper()
	synctest.Wait()
	select {
	case <-a.done:
		t.Errorf("got %q, %v, want nothing yet", a.frame.Payload, a.err)
	default:
	}
}

func TestRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connect(t, Options{})
		a := ask(t.Context(), c, "question")
		p.expect(0x10, wire.FlagReq, "question")
		p.send(0x99, wire.FlagRsp|0x40, "answer")
		a.want(t, "answer")
		if f := a.frame; f.Version != 1 || f.Cmd != 0x99 || f.Flag != 0x42 || string(f.Raw) != "GOPR\x00\x01\x00\x06\x99\x42answer" {
			t.Errorf("got frame %+v", f)
		}
	})
}

// The frame returned is the caller's own, whatever is read next.
func TestRequestAnswerIsACopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connect(t, Options{})
		go p.serve()
		a := ask(t.Context(), c, "first")
		b := ask(t.Context(), c, strings.Repeat("second", 100))
		<-b.done
		a.want(t, "first")
	})
}

func TestRequestFlag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connect(t, Options{})
		go func() { _, _ = c.RequestFlag(t.Context(), 0x10, 0x40, []byte("more bits")) }()
		p.expect(0x10, 0x41, "more bits")
		p.send(0x10, 2, "")
	})
}

func TestAnswersInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var others []string
		c, p := connect(t, Options{OnFrame: func(f wire.Frame) { others = append(others, string(f.Payload)) }})
		go p.read()
		a, b, d := ask(t.Context(), c, "a"), ask(t.Context(), c, "b"), ask(t.Context(), c, "d")
		p.send(0x10, 0, "not an answer")
		p.send(0x10, wire.FlagReq, "not an answer either")
		a.waits(t)
		p.send(0x10, wire.FlagRsp, "to a")
		a.want(t, "to a")
		b.waits(t)
		p.write(append(frame(0x10, wire.FlagRsp, "to b"), frame(0x10, wire.FlagRsp, "to d")...))
		b.want(t, "to b")
		d.want(t, "to d")
		if got := fmt.Sprint(others); got != "[not an answer not an answer either]" {
			t.Errorf("OnFrame was given %v", got)
		}
	})
}

// The answer to a request that nobody waits for any more is nobody's.
func TestLateAnswerIsThrownAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connect(t, Options{})
		go p.read()
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		a, b, d := ask(t.Context(), c, "a"), ask(impatient, c, "b"), ask(t.Context(), c, "d")
		b.fails(t, context.DeadlineExceeded)
		if got := b.err.Error(); got != "sent, no answer: context deadline exceeded" {
			t.Errorf("got %q", got)
		}
		if got := c.Status().Inflight; got != 3 {
			t.Errorf("%d in flight, want 3", got)
		}
		for _, answer := range []string{"to a", "to b", "to d"} {
			p.send(0x10, wire.FlagRsp, answer)
		}
		a.want(t, "to a")
		d.want(t, "to d")
		synctest.Wait()
		if s := c.Status(); s.Inflight != 0 || s.Connects != 1 {
			t.Errorf("got %+v, want the same connection and nothing in flight", s)
		}
	})
}

func TestRequestsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connect(t, Options{MaxInflight: 3})
		go p.read()
		impatient, cancel := context.WithCancel(t.Context())
		a, b, d := ask(t.Context(), c, "a"), ask(impatient, c, "b"), ask(t.Context(), c, "d")
		unsent := ask(t.Context(), c, "has no place")
		cancel()
		b.fails(t, context.Canceled)
		unsent.waits(t) // the place of b is taken until its answer comes

		p.send(0x10, wire.FlagRsp, "to a")
		a.want(t, "to a")
		<-time.After(time.Second)
		another := ask(t.Context(), c, "has none, either")
		p.nc.Close()

		d.fails(t, ErrLost, io.EOF)
		unsent.fails(t, ErrLost) // it had got the place of a
		another.fails(t, ErrNotConnected, io.EOF)
		if errors.Is(another.err, ErrLost) {
			t.Errorf("what was not sent cannot have been executed: %v", another.err)
		}
		if c.State() == Connected {
			t.Error("those who are told of the loss still find the Client connected")
		}
		late := ask(t.Context(), c, "too late")
		late.fails(t, ErrNotConnected, io.EOF)
	})
}

// A new connection owes nothing to the one before.
func TestNextConnectionStartsAfresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		c := start(t, n, Options{MaxInflight: 2})
		p := n.accept(t)
		go p.read()
		wait(t, c, Connected)
		ctx, cancel := context.WithCancel(t.Context())
		a, b := ask(ctx, c, "a"), ask(t.Context(), c, "b")
		cancel()
		a.fails(t, context.Canceled)
		p.nc.Close()
		b.fails(t, ErrLost)

		p = n.accept(t)
		wait(t, c, Connected)
		d, e := ask(t.Context(), c, "d"), ask(t.Context(), c, "e")
		p.expect(0x10, wire.FlagReq, "d")
		p.expect(0x10, wire.FlagReq, "e")
		p.send(0x10, wire.FlagRsp, "to d")
		p.send(0x10, wire.FlagRsp, "to e")
		d.want(t, "to d")
		e.want(t, "to e")
	})
}

func TestUnexpectedAnswerEndsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var others int
		n := newNetwork()
		c := start(t, n, Options{OnFrame: func(wire.Frame) { others++ }})
		p := n.accept(t)
		wait(t, c, Connected)
		a := ask(t.Context(), c, "a")
		p.expect(0x10, wire.FlagReq, "a")
		p.write(append(frame(0x10, wire.FlagRsp, "to a"), append(frame(0x77, wire.FlagRsp, "to whom?"), frame(0x10, 0, "what comes behind is not trusted")...)...))
		a.want(t, "to a")
		wait(t, c, Reconnecting)
		err := c.Status().LastErr
		if want := "the peer answered a request that nobody made: command 0x77, flag 0x02"; !errors.Is(err, ErrUnexpectedAnswer) || err.Error() != want {
			t.Errorf("got %v, want %q", err, want)
		}
		if others != 0 {
			t.Error("OnFrame was given the frame behind it")
		}
		n.accept(t)
		wait(t, c, Connected)
	})
}

func TestMaxInflight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connect(t, Options{MaxInflight: 2})
		a, b := ask(t.Context(), c, "a"), ask(t.Context(), c, "b")
		d := ask(t.Context(), c, "d")
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		e := ask(impatient, c, "e")
		e.fails(t, context.DeadlineExceeded)
		if got := e.err.Error(); got != "not sent: context deadline exceeded" {
			t.Errorf("got %q", got)
		}
		p.expect(0x10, wire.FlagReq, "a")
		p.expect(0x10, wire.FlagReq, "b")
		d.waits(t)
		p.send(0x10, wire.FlagRsp, "to a")
		p.expect(0x10, wire.FlagReq, "d")
		p.send(0x10, wire.FlagRsp, "to b")
		p.send(0x10, wire.FlagRsp, "to d")
		a.want(t, "to a")
		b.want(t, "to b")
		d.want(t, "to d")
	})
}

func TestRequestThatIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connect(t, Options{Pending: 100, MaxInflight: 1}) // a place that is not given back is missed
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		ask(ended, c, "a").fails(t, context.Canceled)

		var tooLong *wire.FieldError
		_, err := c.Request(t.Context(), 0x10, make([]byte, wire.MaxPayload+1))
		if !errors.As(err, &tooLong) || tooLong.Value != 65536 || tooLong.Max != 65535 {
			t.Errorf("too long: %v", err)
		}

		if err := c.TrySend(0x10, 0, make([]byte, 200)); err != nil { // nobody reads it
			t.Fatal(err)
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		full := ask(impatient, c, "b")
		full.fails(t, context.DeadlineExceeded)
		if got := full.err.Error(); got != "not sent: context deadline exceeded" {
			t.Errorf("no room: %q", got)
		}
		if got := c.Status().Inflight; got != 0 {
			t.Errorf("%d in flight, want none", got)
		}

		go p.read()
		synctest.Wait()
		waits := ask(t.Context(), c, "there is room again, and a place")
		waits.waits(t)
		p.send(0x10, wire.FlagRsp, "answer")
		waits.want(t, "answer")
	})
}

// stubborn is a connection that cannot be written to, and on which this is the last to be noticed: by who reads.
type stubborn struct {
	net.Conn
	ended chan struct{}
}

var errBroken = errors.New("broken pipe")

func (s stubborn) Write([]byte) (int, error)       { return 0, errBroken }
func (s stubborn) SetReadDeadline(time.Time) error { return nil }

func (s stubborn) Read([]byte) (int, error) {
	<-s.ended
	return 0, net.ErrClosed
}

// What was on its way when a write failed has an unknown fate; what comes between that and the end of the connection is
// not sent.
func TestRequestOnABrokenConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		broken := stubborn{ours, make(chan struct{})}
		c, err := Dial(t.Context(), "peer", Options{
			MaxInflight: 2, // a place that is not given back is missed
			Dial:        func(context.Context, string, string) (net.Conn, error) { return broken, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		synctest.Wait() // until it reads
		a := ask(t.Context(), c, "a")
		if err := c.TrySend(0x10, 0, nil); !errors.Is(err, ErrNotConnected) || !errors.Is(err, errBroken) {
			t.Errorf("TrySend: %v", err)
		}
		for range 5 {
			b := ask(t.Context(), c, "b")
			b.fails(t, ErrNotConnected, errBroken)
			if errors.Is(b.err, ErrLost) {
				t.Errorf("what was not sent cannot have been executed: %v", b.err)
			}
		}
		a.waits(t)
		close(broken.ended)
		a.fails(t, ErrLost, errBroken)
	})
}

// Over a real connection, many at once, some impatient, with a peer that stalls and connections that die:
// whoever gets an answer gets his own.
func TestRequestStress(t *testing.T) {
	var answered, gaveUp, lostOnes atomic.Int64
	stall := func() bool { return rand.IntN(50) == 0 }
	addr := listen(t, func(nc net.Conn) {
		p := &peer{t: t, nc: nc}
		for range 2000 {
			f, err := p.next()
			if err != nil {
				return
			}
			if stall() {
				runtime.Gosched()
				time.Sleep(time.Duration(rand.IntN(500)) * time.Microsecond)
			}
			p.write(wire.AppendFrame(nil, uint8(f.Cmd), wire.FlagRsp, f.Payload))
		}
	})
	c, err := Dial(t.Context(), addr, Options{MaxInflight: 16, Reconnect: Reconnect{Initial: time.Millisecond, Max: time.Millisecond, Attempts: -1}})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for who := range uint32(24) {
		all.Go(func() {
			for i := range uint32(500) {
				question := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, who), i)
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(4000))*time.Microsecond)
				f, err := c.Request(ctx, uint8(0x10+who), question)
				switch {
				case err == nil && (string(f.Payload) != string(question) || f.Cmd != 0x10+who):
					t.Errorf("asked % x of 0x%02X, answered % x by 0x%02X", question, 0x10+who, f.Payload, f.Cmd)
				case err == nil:
					answered.Add(1)
				case errors.Is(err, context.DeadlineExceeded):
					gaveUp.Add(1)
				case errors.Is(err, ErrLost), errors.Is(err, ErrNotConnected):
					lostOnes.Add(1)
					_ = c.Wait(t.Context(), Connected)
				default:
					t.Errorf("got %v", err)
				}
				cancel()
			}
		})
	}
	all.Wait()
	t.Logf("%d answered, %d gave up, %d lost, %d connections", answered.Load(), gaveUp.Load(), lostOnes.Load(), c.Status().Connects)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if answered.Load() == 0 {
		t.Error("no request was answered")
	}
}

func BenchmarkRequest(b *testing.B) {
	for _, inflight := range []int{1, 64} {
		b.Run(fmt.Sprintf("inflight=%d", inflight), func(b *testing.B) {
			addr := listen(b, func(nc net.Conn) {
				var echo echo
				echo.conn = NewConn(nc, nil, &echo)
				_ = echo.conn.Serve(context.Background())
			})
			c, err := Dial(b.Context(), addr, Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			payload := make([]byte, 64)
			b.SetParallelism(inflight) // times GOMAXPROCS
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := c.Request(b.Context(), 0x10, payload); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// echo is a peer made of a Conn: it answers each request with its payload, all those of a piece in one write.
type echo struct {
	conn    *Conn
	answers []byte
}

func (e *echo) Frame(_ []byte, _, _ int, f *wire.Frame) {
	e.answers = wire.AppendFrame(e.answers, uint8(f.Cmd), wire.FlagRsp, f.Payload)
}

func (e *echo) Flush([]byte) bool {
	_, _ = e.conn.Write(e.answers)
	e.answers = e.answers[:0]
	return true
}

func (e *echo) Drained() {}
