package cli

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// sink is the connection of a stream under test.
type sink struct {
	writes [][]byte // since the last take
	closed error
}

func (s *sink) Write(b []byte) (bool, error) {
	s.writes = append(s.writes, slices.Clone(b))
	return false, nil
}

func (s *sink) Close(cause error) {
	if s.closed == nil {
		s.closed = cause
	}
}

// take returns the frames that were written since the last take, and in how many writes.
func (s *sink) take(t *testing.T) (frames []wire.Frame, writes int) {
	t.Helper()
	b := bytes.Join(s.writes, nil)
	writes, s.writes = len(s.writes), nil
	for len(b) > 0 {
		var f wire.Frame
		n, err := plain().Next(b, &f)
		if n == 0 {
			t.Fatalf("written: no frame, %v", err)
		}
		frames = append(frames, f)
		b = b[n:]
	}
	return frames, writes
}

// newStream returns a stream that has just begun.
func newStream(a benchArgs) (*stream, *sink) {
	if a.conns == 0 {
		a.conns = 1
	}
	l := newLoad(a, &dialer{})
	l.began = time.Now()
	c := new(sink)
	s := &stream{load: l, shard: &l.shards[0], id: 7, conn: c, sentAt: make([]time.Duration, a.inflight)}
	s.send(a.inflight, 0)
	return s, c
}

// answers has a stream read the answers to requests in one piece.
func (s *stream) answers(requests ...wire.Frame) {
	for _, f := range requests {
		f.Flag = wire.FlagRsp
		s.Frame(nil, 0, 0, &f)
	}
	s.Flush(nil)
}

func TestStreamKeepsItsWindow(t *testing.T) {
	s, c := newStream(benchArgs{inflight: 4, payload: 16, cmd: 0x33})
	open, writes := c.take(t)
	if len(open) != 4 || writes != 1 {
		t.Fatalf("begins with %d requests in %d writes, want 4 in 1", len(open), writes)
	}
	for _, f := range open {
		if f.Cmd != 0x33 || f.Flag != wire.FlagReq || len(f.Payload) != 16 {
			t.Errorf("command 0x%02X, flag 0x%02X, %d bytes", f.Cmd, f.Flag, len(f.Payload))
		}
	}
	for _, n := range []int{1, 3, 4, 2, 4, 1} { // answers in one piece
		s.answers(open[:n]...)
		next, writes := c.take(t)
		if len(next) != n || writes != 1 {
			t.Fatalf("%d answers led to %d requests in %d writes, want %d in 1", n, len(next), writes, n)
		}
		open = append(open[n:], next...)
	}
	if got := s.shard.times.n; got != 15 || s.shard.wrong != 0 || c.closed != nil {
		t.Errorf("%d right answers, %d wrong, closed: %v; want 15, 0, nil", got, s.shard.wrong, c.closed)
	}

	s.Flush(nil) // a piece without an answer
	if next, _ := c.take(t); len(next) != 0 {
		t.Errorf("no answer led to %d requests", len(next))
	}
}

func TestStreamStops(t *testing.T) {
	s, c := newStream(benchArgs{inflight: 3, payload: 16})
	open, _ := c.take(t)
	s.load.stopping.Store(true)
	s.answers(open[:2]...)
	if c.closed != nil {
		t.Fatalf("closed with a request on its way: %v", c.closed)
	}
	s.answers(open[2])
	if next, _ := c.take(t); len(next) != 0 || !errors.Is(c.closed, errDone) {
		t.Errorf("%d requests more, closed: %v; want 0, %v", len(next), c.closed, errDone)
	}
}

func TestStreamChecksAnswers(t *testing.T) {
	requests := func(t *testing.T, payload int) (*stream, *sink, []wire.Frame) {
		s, c := newStream(benchArgs{inflight: 3, payload: payload})
		open, _ := c.take(t)
		return s, c, open
	}
	with := func(f wire.Frame, payload string) wire.Frame {
		f.Payload = []byte(payload)
		return f
	}

	t.Run("swapped", func(t *testing.T) {
		s, _, open := requests(t, 16)
		s.answers(open[1], open[0], open[2])
		if s.shard.wrong != 2 || s.shard.times.n != 1 {
			t.Errorf("%d wrong, %d right; want 2, 1", s.shard.wrong, s.shard.times.n)
		}
	})
	t.Run("of another connection", func(t *testing.T) {
		s, _, _ := requests(t, 16)
		other, c := newStream(benchArgs{inflight: 1, payload: 16})
		other.id++
		c.take(t)
		other.send(1, 0)
		theirs, _ := c.take(t)
		s.answers(theirs[0])
		if s.shard.wrong != 1 {
			t.Error("it was taken for its own")
		}
	})
	for name, change := range map[string]func(string) string{
		"shorter":           func(p string) string { return p[:len(p)-1] },
		"longer":            func(p string) string { return p + "x" },
		"empty":             func(string) string { return "" },
		"another last byte": func(p string) string { return p[:len(p)-1] + "\xEE" },
		"another in middle": func(p string) string { return p[:10] + "\xEE" + p[11:] },
	} {
		t.Run(name, func(t *testing.T) {
			s, c, open := requests(t, 16)
			s.answers(with(open[0], change(string(open[0].Payload))), open[1])
			if s.shard.wrong != 1 || s.shard.times.n != 1 || c.closed != nil {
				t.Errorf("%d wrong, %d right, closed: %v; want 1, 1, nil", s.shard.wrong, s.shard.times.n, c.closed)
			}
		})
	}
	t.Run("one too many", func(t *testing.T) {
		s, c, open := requests(t, 16)
		s.answers(append(open, open[2])...)
		if !errors.Is(c.closed, errUnasked) {
			t.Errorf("closed: %v, want %v", c.closed, errUnasked)
		}
	})
	t.Run("no answers", func(t *testing.T) {
		s, c, open := requests(t, 16)
		event, request := open[0], open[0]
		event.Flag, request.Flag = 0, wire.FlagReq
		s.Frame(nil, 0, 0, &event)
		s.Frame(nil, 0, 0, &request)
		s.Pong(time.Now(), open[0].Payload) // the peer's own mistake: nobody sent a PING
		s.Flush(nil)
		if next, _ := c.take(t); len(next) != 0 || s.answered != 0 || c.closed != nil {
			t.Errorf("%d requests more, %d answered, closed: %v; want nothing of it", len(next), s.answered, c.closed)
		}
	})
}

func TestStreamOfPings(t *testing.T) {
	s, c := newStream(benchArgs{inflight: 2, payload: wire.PingLen, cmd: wire.CmdPing})
	open, _ := c.take(t)
	for _, f := range open {
		s.Pong(time.Now(), f.Payload)
	}
	s.Flush(nil)
	if next, _ := c.take(t); len(next) != 2 || s.shard.times.n != 2 || s.shard.wrong != 0 {
		t.Errorf("%d requests more, %d right, %d wrong; want 2, 2, 0", len(next), s.shard.times.n, s.shard.wrong)
	}
}

// Payloads are different as far as their size allows.
func TestStreamPayloads(t *testing.T) {
	tests := []struct {
		size int
		want string // of request 0x01020304 on connection 0x0A0B0C0D
	}{
		{0, ""},
		{1, "\x04"},
		{4, "\x01\x02\x03\x04"},
		{5, "\x0D\x01\x02\x03\x04"},
		{8, "\x0A\x0B\x0C\x0D\x01\x02\x03\x04"},
		{11, "\x0A\x0B\x0C\x0D\x01\x02\x03\x04\x08\x09\x0A"},
	}
	for _, tt := range tests {
		l := newLoad(benchArgs{conns: 1, inflight: 1, payload: tt.size}, &dialer{})
		got := string(l.appendRequest(nil, 0x0A0B0C0D, 0x01020304)[wire.HeaderLen:])
		if got != tt.want || !l.isPayload([]byte(got), 0x0A0B0C0D, 0x01020304) {
			t.Errorf("of %d bytes: %x, want %x", tt.size, got, tt.want)
		}
		if tt.size > 0 && l.isPayload([]byte(got), 0x0A0B0C0D, 0x01020305) {
			t.Errorf("of %d bytes: it is the next one's, too", tt.size)
		}
	}
	large := newLoad(benchArgs{conns: 1, inflight: 1, payload: wire.MaxPayload}, &dialer{})
	if b := large.appendRequest(nil, 1, 1); len(b) != wire.HeaderLen+wire.MaxPayload {
		t.Errorf("%d bytes", len(b))
	}
}

// A large window is written in pieces, so that the buffers stay small.
func TestStreamWritesInPieces(t *testing.T) {
	_, c := newStream(benchArgs{inflight: 100, payload: 10_000})
	for _, w := range c.writes {
		if len(w) > fullBatch+wire.HeaderLen+10_000 {
			t.Errorf("a write of %d bytes", len(w))
		}
	}
	if open, writes := c.take(t); len(open) != 100 || writes < 10 {
		t.Errorf("%d requests in %d writes", len(open), writes)
	}
}

// Each answer has the time from its own request's write to the end of the piece that brought it.
func TestStreamTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := newStream(benchArgs{inflight: 2, payload: 16})
		open, _ := c.take(t)
		oldest := func(want time.Duration) {
			t.Helper()
			if got := time.Duration(s.oldest.Load()); got != want {
				t.Errorf("the oldest request was sent at %v, want %v", got, want)
			}
		}
		oldest(0)
		time.Sleep(10 * time.Millisecond)
		s.answers(open[0])
		next, _ := c.take(t)
		oldest(0)
		time.Sleep(10 * time.Millisecond)
		s.answers(open[1], next[0]) // 20 ms, 10 ms
		oldest(20 * time.Millisecond)
		if got := s.shard.times; got.n != 3 || got.min != 10*time.Millisecond || got.max != 20*time.Millisecond || got.sum != 40*time.Millisecond {
			t.Errorf("%d times from %v to %v, together %v; want 3 from 10ms to 20ms, 40ms", got.n, got.min, got.max, got.sum)
		}
	})
}

func TestStreamAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	s, _ := newStream(benchArgs{inflight: 8, payload: 64})
	s.conn = discard{}
	var answer [8]wire.Frame
	for i := range answer {
		answer[i] = wire.Frame{Flag: wire.FlagRsp, Payload: []byte(strings.Repeat("x", 64))}
	}
	if n := testing.AllocsPerRun(1000, func() {
		for i := range answer {
			s.Frame(nil, 0, 0, &answer[i])
		}
		s.Flush(nil)
	}); n != 0 {
		t.Errorf("%v allocations for 8 answers and as many requests", n)
	}
}

type discard struct{}

func (discard) Write([]byte) (bool, error) { return false, nil }
func (discard) Close(error)                {}
