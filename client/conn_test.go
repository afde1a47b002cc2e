package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/keepalive"
	"github.com/caddy-gopr/caddy-gopr/transport"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// recorder is a Receiver that remembers.
type recorder struct {
	frames  []string // raw; to be read when Serve has returned
	flushes int
	pongs   []string // payloads
	endings []error
	endAt   time.Time
	drained atomic.Int32

	onFrame func(f *wire.Frame)
	pause   bool // Flush returns false once
}

func (r *recorder) Frame(piece []byte, start, end int, f *wire.Frame) {
	r.frames = append(r.frames, string(piece[start:end]))
	if r.onFrame != nil {
		r.onFrame(f)
	}
}

func (r *recorder) Flush([]byte) bool {
	r.flushes++
	more := !r.pause
	r.pause = false
	return more
}

func (r *recorder) Pong(_ time.Time, payload []byte) { r.pongs = append(r.pongs, string(payload)) }

func (r *recorder) Ending(cause error) { r.endings, r.endAt = append(r.endings, cause), time.Now() }

func (r *recorder) Drained() { r.drained.Add(1) }

// served is a Conn that is served, and what comes of it.
type served struct {
	*Conn
	test *testing.T
	rec  *recorder
	end  chan error
}

func serveConn(t *testing.T, nc net.Conn, cfg *ConnConfig, rec *recorder) *served {
	s := &served{Conn: NewConn(nc, cfg, rec), test: t, rec: rec, end: make(chan error, 1)}
	go func() { s.end <- s.Serve(context.Background()) }()
	return s
}

// wait returns what Serve returned, which Ending must have been told, too.
func (s *served) wait() error {
	s.test.Helper()
	err := <-s.end
	if !slices.Equal(s.rec.endings, []error{err}) {
		s.test.Errorf("Ending was told %v, and Serve returned %v", s.rec.endings, err)
	}
	return err
}

// pair is a Conn over a pipe, and its peer.
func pair(t *testing.T, cfg *ConnConfig, rec *recorder) (*served, *peer) {
	ours, theirs := net.Pipe()
	t.Cleanup(func() { theirs.Close() })
	return serveConn(t, ours, cfg, rec), &peer{t: t, nc: theirs}
}

func frames(all ...[]byte) []byte { return bytes.Join(all, nil) }

func frame(cmd, flag uint8, payload string) []byte {
	return wire.AppendFrame(nil, cmd, flag, []byte(payload))
}

func TestConnDeliversFramesAsTheyLie(t *testing.T) {
	stream := frames(frame(0x10, 0x01, "ask"), frame(0x11, 0xFC, ""), frame(wire.CmdPing, 0x00, "no flag: the application's"), frame(0xFF, 0, strings.Repeat("x", 3000)))
	want := []string{
		"GOPR\x00\x01\x00\x03\x10\x01ask",
		"GOPR\x00\x01\x00\x00\x11\xFC",
		"GOPR\x00\x01\x00\x1A\x01\x00no flag: the application's",
		"GOPR\x00\x01\x0B\xB8\xFF\x00" + strings.Repeat("x", 3000),
	}
	for _, size := range []int{1, 7, 1000, len(stream)} {
		for _, network := range []string{"pipe", "tcp"} {
			ours, theirs := net.Pipe()
			if network == "tcp" {
				ours, theirs = tcpPair(t)
			}
			rec := &recorder{}
			s := serveConn(t, ours, nil, rec)
			for piece := range slices.Chunk(stream, size) {
				if _, err := theirs.Write(piece); err != nil {
					t.Fatal(err)
				}
			}
			theirs.Close()
			if err := s.wait(); err != io.EOF {
				t.Errorf("%s, pieces of %d: Serve: %v, want EOF", network, size, err)
			}
			if !slices.Equal(rec.frames, want) {
				t.Errorf("%s, pieces of %d: got %.100q", network, size, rec.frames)
			}
		}
	}
}

func TestConnAnswersPings(t *testing.T) {
	rec := &recorder{}
	s, p := pair(t, nil, rec)
	p.write(frames(frame(wire.CmdPing, wire.FlagReq, ""), frame(0x10, 0, "between"), frame(wire.CmdPing, wire.FlagReq, "echo me")))

	// A pipe hands over one write at most per read: so both pongs were one write.
	got := make([]byte, 1000)
	n, err := p.nc.Read(got)
	if want := "GOPR\x00\x01\x00\x00\x02\x02" + "GOPR\x00\x01\x00\x07\x02\x02echo me"; err != nil || string(got[:n]) != want {
		t.Errorf("peer read %q, %v, want both pongs at once: %q", got[:n], err, want)
	}
	p.nc.Close()
	s.wait()
	if want := []string{string(frame(0x10, 0, "between"))}; !slices.Equal(rec.frames, want) {
		t.Errorf("the application was given %q, want %q", rec.frames, want)
	}
}

// onlyPings is a heartbeat without chance.
var onlyPings = &ConnConfig{Heartbeat: &keepalive.Heartbeat{Interval: 30 * time.Second, Timeout: 15 * time.Second, Jitter: -1}}

func TestConnHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		rec := &recorder{}
		s, p := pair(t, onlyPings, rec)
		for i := range 3 {
			f, err := p.next()
			if err != nil || f.Cmd != wire.CmdPing || f.Flag != wire.FlagReq {
				t.Fatalf("peer read %v, %v, want a ping", f, err)
			}
			if got, want := time.Since(start), time.Duration(i+1)*30*time.Second; got != want {
				t.Errorf("ping %d came after %v, want %v", i, got, want)
			}
			if _, ok := wire.ParsePing(f.Payload); !ok {
				t.Errorf("ping %d carries %q", i, f.Payload)
			}
			time.Sleep(40 * time.Millisecond)
			p.send(wire.CmdPong, wire.FlagRsp, string(f.Payload))
			p.send(wire.CmdPong, wire.FlagRsp, string(f.Payload)) // twice
			synctest.Wait()
			if got := s.RTT(); got != 40*time.Millisecond {
				t.Errorf("RTT %v after pong %d, want 40ms", got, i)
			}
		}
		p.nc.Close()
		s.wait()
		if len(rec.pongs) != 3 || len(rec.frames) != 0 {
			t.Errorf("the receiver was given pongs %q and frames %q, want the 3 doubled pongs", rec.pongs, rec.frames)
		}
	})
}

func TestConnDiesOfSilence(t *testing.T) {
	tests := []struct {
		name string
		peer func(p *peer)
	}{
		{"the peer reads and is silent", (*peer).read},
		{"the peer sends, and answers no ping", func(p *peer) {
			go p.read()
			for {
				if _, err := p.nc.Write(frame(0x10, 0, "busy")); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}},
		{"the peer answers with another ping's numbers", func(p *peer) {
			for {
				f, err := p.next()
				if err != nil {
					return
				}
				f.Payload[3]++
				p.send(wire.CmdPong, wire.FlagRsp, string(f.Payload))
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				s, p := pair(t, onlyPings, &recorder{})
				go func() {
					err := s.wait()
					if got := time.Since(start); err != ErrHeartbeat || got != 45*time.Second {
						t.Errorf("Serve: %v after %v, want ErrHeartbeat after 30s and 15s", err, got)
					}
				}()
				tt.peer(p) // until it sees the end
			})
		})
	}
}

func TestConnWithoutHeartbeat(t *testing.T) {
	for _, cfg := range []*ConnConfig{nil, {}, {Heartbeat: &keepalive.Heartbeat{}, Limits: &keepalive.Limits{}}} {
		synctest.Test(t, func(t *testing.T) {
			rec := &recorder{}
			s, p := pair(t, cfg, rec)
			time.Sleep(24 * time.Hour)
			p.send(0x10, 0, "still there")
			p.nc.Close()
			if err := s.wait(); err != io.EOF || len(rec.frames) != 1 {
				t.Errorf("Serve: %v, frames %q", err, rec.frames)
			}
		})
	}
}

func TestConnRejects(t *testing.T) {
	tests := []struct {
		name   string
		stream string
		want   wire.Reason
		offset int
		frames int
	}{
		{"another protocol", "GET / HTTP/1.1\r\n", wire.ReasonMagic, 1, 0},
		{"garbage behind a frame", "GOPR\x00\x01\x00\x01\x10\x00xGOPS", wire.ReasonMagic, 3, 1},
		{"another version", "GOPR\x00\x02\x00\x00\x10\x00", wire.ReasonVersion, 4, 0},
		{"a payload over the maximum, on its header", "GOPR\x00\x01\x00\x65\x10\x00", wire.ReasonLength, 6, 0},
	}
	decoder, err := wire.GOPR.NewDecoder(wire.Rules{MaxPayload: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := &recorder{}
			s, p := pair(t, &ConnConfig{Decoder: decoder}, rec)
			go p.write([]byte(tt.stream))
			err := s.wait()
			var reject *wire.RejectError
			if !errors.As(err, &reject) || reject.Reason != tt.want || reject.Offset != tt.offset {
				t.Errorf("Serve: %v, want reason %v at byte %d", err, tt.want, tt.offset)
			}
			if len(rec.frames) != tt.frames || rec.flushes == 0 {
				t.Errorf("%d frames and %d flushes before, want %d frames", len(rec.frames), rec.flushes, tt.frames)
			}
		})
	}
}

func TestConnFrameTimeout(t *testing.T) {
	cfg := &ConnConfig{Limits: &keepalive.Limits{Frame: 10 * time.Second}}
	half := frame(0x10, 0, "payload")[:12]

	t.Run("half a frame held open", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, p := pair(t, cfg, &recorder{})
			time.Sleep(time.Hour) // silence without a frame is no fault
			start := time.Now()
			p.write(half)
			err := s.wait()
			if got := time.Since(start); err != keepalive.ErrFrameTimeout || got != 10*time.Second {
				t.Errorf("Serve: %v after %v, want the frame timeout after 10s", err, got)
			}
		})
	})
	t.Run("a byte now and then", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, p := pair(t, cfg, &recorder{})
			start := time.Now()
			for _, b := range half[:10] {
				p.write([]byte{b})
				time.Sleep(time.Second)
			}
			err := s.wait()
			if got := time.Since(start); err != keepalive.ErrFrameTimeout || got != 10*time.Second {
				t.Errorf("Serve: %v after %v, want the frame timeout after 10s", err, got)
			}
		})
	})
	t.Run("frames that are just in time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rec := &recorder{}
			s, p := pair(t, cfg, rec)
			whole := frame(0x10, 0, "payload")
			for range 5 {
				p.write(whole[:12])
				time.Sleep(9 * time.Second)
				p.write(whole[12:])
			}
			p.nc.Close()
			if err := s.wait(); err != io.EOF || len(rec.frames) != 5 {
				t.Errorf("Serve: %v, %d frames, want EOF and 5", err, len(rec.frames))
			}
		})
	})
}

func TestConnPauseIsNotSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := &ConnConfig{Heartbeat: onlyPings.Heartbeat, Limits: &keepalive.Limits{Idle: 45 * time.Second, Frame: 10 * time.Second}}
		rec := &recorder{pause: true}
		s, p := pair(t, cfg, rec)
		rest := frame(0x11, 0, "rest")
		p.write(append(frame(0x10, 0, "first"), rest[:5]...))
		time.Sleep(time.Hour) // nothing is read, and nobody is blamed for it
		s.t.Wake()
		synctest.Wait()
		if got := s.Unsent(); got != 0 {
			t.Errorf("%d bytes are unsent: a ping, whose pong would not be read", got)
		}
		s.Resume()
		if f, err := p.next(); err != nil || f.Cmd != wire.CmdPing {
			t.Errorf("peer read %v, %v, want the ping that is due", f, err)
		}
		time.Sleep(9 * time.Second) // the frame has its whole time again
		p.write(rest[5:])
		p.nc.Close()
		if err := s.wait(); err != io.EOF || len(rec.frames) != 2 {
			t.Errorf("Serve: %v, frames %q, want EOF and 2 frames", err, rec.frames)
		}
	})
}

// A ping that is on its way when reading stops has its whole time again when reading goes on, and is not measured.
func TestConnPauseBeforePong(t *testing.T) {
	for _, answers := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			rec := &recorder{}
			s, p := pair(t, onlyPings, rec)
			ping, err := p.next()
			if err != nil {
				t.Fatal(err)
			}
			rec.pause = true
			p.send(0x10, 0, "too much")
			time.Sleep(time.Hour)
			s.Resume()
			resumed := time.Now()
			time.Sleep(15*time.Second - 1)
			if answers {
				p.send(wire.CmdPong, wire.FlagRsp, string(ping.Payload))
				if f, err := p.next(); err != nil || f.Cmd != wire.CmdPing {
					t.Errorf("peer read %v, %v, want the next ping", f, err)
				}
				p.nc.Close()
			}
			err = s.wait()
			switch got := time.Since(resumed); {
			case answers && err != io.EOF:
				t.Errorf("Serve: %v, want EOF", err)
			case !answers && (err != ErrHeartbeat || got != 15*time.Second):
				t.Errorf("Serve: %v after %v, want ErrHeartbeat 15s after the resume", err, got)
			}
			if got := s.RTT(); got != 0 {
				t.Errorf("RTT %v, and there was a pause in it", got)
			}
		})
	}
}

func TestConnResumeBeforePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *served
		rec := &recorder{pause: true}
		rec.onFrame = func(*wire.Frame) { s.Resume() } // before Flush has returned false
		ours, theirs := net.Pipe()
		s = &served{Conn: NewConn(ours, nil, rec), test: t, rec: rec, end: make(chan error, 1)}
		go func() { s.end <- s.Serve(context.Background()) }()
		p := &peer{t: t, nc: theirs}
		p.send(0x10, 0, "one")
		p.send(0x10, 0, "two")
		p.nc.Close()
		if err := s.wait(); err != io.EOF || len(rec.frames) != 2 {
			t.Errorf("Serve: %v, frames %q", err, rec.frames)
		}
	})
}

func TestConnClose(t *testing.T) {
	cause := errors.New("enough")
	tests := []struct {
		name string
		end  func(s *served, p *peer)
		want error
	}{
		{"Close with a cause", func(s *served, _ *peer) { s.Close(cause) }, cause},
		{"Close without", func(s *served, _ *peer) { s.Close(nil) }, net.ErrClosed},
		{"the first cause counts", func(s *served, _ *peer) { s.Close(cause); s.Close(nil) }, cause},
		{"the peer closes", func(_ *served, p *peer) { p.nc.Close() }, io.EOF},
		{"Close while paused", func(s *served, p *peer) {
			s.rec.pause = true
			p.send(0x10, 0, "")
			synctest.Wait()
			s.Close(cause)
		}, cause},
		{"Close from within", func(s *served, p *peer) {
			s.rec.onFrame = func(*wire.Frame) { s.Close(cause) }
			p.send(0x10, 0, "")
		}, cause},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, p := pair(t, onlyPings, &recorder{})
				tt.end(s, p)
				if err := s.wait(); err != tt.want {
					t.Errorf("Serve: %v, want %v", err, tt.want)
				}
				if _, err := s.Write(frame(0x10, 0, "")); err == nil {
					t.Error("Write after the end is no error")
				}
				if _, err := p.next(); err == nil {
					t.Error("the peer was not told")
				}
				s.Close(errors.New("too late, and no harm"))
			})
		})
	}
}

func TestConnEndsWithContext(t *testing.T) {
	for _, before := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			cause := errors.New("the program ends")
			ctx, cancel := context.WithCancelCause(context.Background())
			if before {
				cancel(cause)
			}
			ours, theirs := net.Pipe()
			defer theirs.Close()
			end := make(chan error, 1)
			go func() { end <- NewConn(ours, nil, &recorder{}).Serve(ctx) }()
			synctest.Wait()
			cancel(cause)
			if err := <-end; err != cause {
				t.Errorf("Serve: %v, want the context's cause", err)
			}
		})
	}
}

func TestConnEndingComesBeforeTheLastWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{}
		s, p := pair(t, nil, rec)
		if _, err := s.Write(frame(0x10, 0, "nobody reads this")); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		s.Close(nil)
		s.wait()
		if got := rec.endAt.Sub(start); got != 0 {
			t.Errorf("Ending came after %v, want at once", got)
		}
		if got := time.Since(start); got != 2*time.Second {
			t.Errorf("Serve returned after %v, want 2s for the last words", got)
		}
		p.nc.Close()
	})
}

func TestConnSendsLastWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := pair(t, nil, &recorder{})
		for _, word := range []string{"good", "bye"} {
			if _, err := s.Write(frame(0x10, 0, word)); err != nil {
				t.Fatal(err)
			}
		}
		s.Close(nil)
		time.Sleep(time.Second)
		p.expect(0x10, 0, "good")
		p.expect(0x10, 0, "bye")
		if _, err := p.next(); err != io.EOF {
			t.Errorf("peer: %v, want EOF", err)
		}
		s.wait()
	})
}

func TestConnPingFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const high = 32 << 10
		s, p := pair(t, &ConnConfig{Transport: &transport.Options{High: high, WriteTimeout: time.Hour}}, &recorder{})
		most := 0
		go func() {
			pings := bytes.Repeat(frame(wire.CmdPing, wire.FlagReq, ""), 100)
			for {
				if _, err := p.nc.Write(pings); err != nil {
					return
				}
				most = max(most, s.Unsent())
			}
		}()
		if err := s.wait(); err != ErrPingFlood {
			t.Errorf("Serve: %v, want %v", err, ErrPingFlood)
		}
		synctest.Wait()
		if limit := high + maxOwed + 128<<10; most > limit {
			t.Errorf("%d bytes were kept for the peer, want at most %d", most, limit)
		}
	})
}

// A peer that is behind with what others wrote does nothing wrong when it pings.
func TestConnPingWhileFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{}
		s, p := pair(t, &ConnConfig{Transport: &transport.Options{High: 1000}}, rec)
		if full, err := s.Write(frame(0x10, 0, strings.Repeat("x", 2000))); !full || err != nil {
			t.Fatalf("Write: full %v, %v, want full", full, err)
		}
		p.send(wire.CmdPing, wire.FlagReq, "1")
		p.send(wire.CmdPing, wire.FlagReq, "2")
		synctest.Wait()
		p.expect(0x10, 0, strings.Repeat("x", 2000))
		p.expect(wire.CmdPong, wire.FlagRsp, "1")
		p.expect(wire.CmdPong, wire.FlagRsp, "2")
		synctest.Wait()
		if got := rec.drained.Load(); got != 1 {
			t.Errorf("Drained was called %d times, want once", got)
		}
		p.nc.Close()
		if err := s.wait(); err != io.EOF {
			t.Errorf("Serve: %v, want EOF", err)
		}
	})
}

// Nor does one that reads slowly, but for ever: what it has read is not held against it.
func TestConnPingsOfABusyPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := pair(t, &ConnConfig{Transport: &transport.Options{High: 1000}}, &recorder{})
		const pings = 3000
		for round := range 10 { // 300,000 bytes of pongs, each time while the peer is behind
			if full, err := s.Write(frame(0x10, 0, strings.Repeat("x", 2000))); !full || err != nil {
				t.Fatalf("round %d: Write: full %v, %v", round, full, err)
			}
			p.write(bytes.Repeat(frame(wire.CmdPing, wire.FlagReq, ""), pings))
			synctest.Wait()
			p.expect(0x10, 0, strings.Repeat("x", 2000))
			for range pings {
				p.expect(wire.CmdPong, wire.FlagRsp, "")
			}
			synctest.Wait()
		}
		p.nc.Close()
		if err := s.wait(); err != io.EOF {
			t.Errorf("Serve: %v, want EOF", err)
		}
	})
}

func TestConnWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		s, p := pair(t, nil, &recorder{})
		if _, err := s.Write(frame(0x10, 0, "nobody reads this")); err != nil {
			t.Fatal(err)
		}
		err := s.wait()
		if got := time.Since(start); err != transport.ErrWriteTimeout || got != 10*time.Second {
			t.Errorf("Serve: %v after %v, want the write timeout after 10s", err, got)
		}
		p.nc.Close()
	})
}

// A peer that sends as fast as it can must not be able to keep its connection.
func TestConnCloseUnderFlood(t *testing.T) {
	for _, network := range []string{"pipe", "tcp"} {
		t.Run(network, func(t *testing.T) {
			ours, theirs := net.Pipe()
			if network == "tcp" {
				ours, theirs = tcpPair(t)
			}
			seen := make(chan struct{})
			n := 0
			rec := &recorder{}
			s := serveConn(t, ours, nil, rec)
			rec.onFrame = func(*wire.Frame) {
				rec.frames = rec.frames[:0]
				if n++; n == 10_000 {
					close(seen)
				}
			}
			flooded := make(chan struct{})
			go func() {
				defer close(flooded)
				b := bytes.Repeat(frame(0x10, 0, "0123456789"), 50_000)
				for {
					if _, err := theirs.Write(b); err != nil {
						return
					}
				}
			}()
			<-seen
			s.Close(nil)
			if err := s.wait(); err != net.ErrClosed {
				t.Errorf("Serve: %v, want %v", err, net.ErrClosed)
			}
			theirs.Close()
			<-flooded
		})
	}
}

func TestConnPiecesAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("pools forget under the race detector")
	}
	ours, _ := tcpPair(t)
	r := &echo{}
	c := NewConn(ours, &ConnConfig{Heartbeat: onlyPings.Heartbeat, Limits: &keepalive.Limits{Idle: time.Minute, Frame: time.Minute}}, r)
	r.conn = c
	piece := bytes.Repeat(frame(0x10, wire.FlagReq, "payload"), 10)
	now := time.Now()
	allocs := testing.AllocsPerRun(100, func() {
		if used, next := (logic{c}).Data(now, piece); used != len(piece) || next != transport.More {
			t.Fatalf("used %d of %d, next %v", used, len(piece), next)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations per piece of 10 requests, want none", allocs)
	}
}

func TestConnWritesAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("pools forget under the race detector")
	}
	ours, theirs := tcpPair(t)
	rec := &recorder{}
	s := serveConn(t, ours, onlyPings, rec)
	go func() { _, _ = io.Copy(io.Discard, theirs) }()
	b := frame(0x10, 0, "payload")
	allocs := testing.AllocsPerRun(1000, func() {
		if _, err := s.Write(b); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations per Write, want none", allocs)
	}
	if s.RemoteAddr().String() != theirs.LocalAddr().String() || s.LocalAddr().String() != theirs.RemoteAddr().String() {
		t.Error("the addresses are not those of the ends")
	}
	s.Close(nil)
	s.wait()
}
