package upstream

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/keepalive"
	"github.com/caddy-gopr/caddy-gopr/transport"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

var noHeartbeat = keepalive.Heartbeat{Interval: -1}

// A backend that reads slowly stops its client, and nothing is lost.
func TestSlowBackend(t *testing.T) {
	const buffer = 1000
	payload := strings.Repeat("x", 100-wire.HeaderLen)
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = func(v *visit) {
			v.each(func(frame) { deaf(time.Second)(v) })
		}
		p := lease(t, n.group(t, Config{Buffer: buffer}))
		synctest.Wait()
		const frames = 100
		for sent := 0; sent < frames; {
			full := false
			for ; sent < frames && !full; sent++ {
				full = p.say(payload)
			}
			if got := p.lease.(*session).source.Load().conn.Unsent(); got > buffer+100 {
				t.Fatalf("%d bytes unsent", got)
			}
			if sent < frames && p.tookRooms() != 0 {
				t.Fatalf("frame %d: Room although nothing was read", sent)
			}
			for full && p.tookRooms() == 0 {
				time.Sleep(time.Second)
			}
			synctest.Wait()
			if more := p.tookRooms(); more != 0 {
				t.Errorf("Room was called %d times too often", more)
			}
		}
		time.Sleep(frames * time.Second)
		if got := len(n["a:1"].got()); got != frames {
			t.Errorf("%d frames came, not %d", got, frames)
		}
		p.expect()
	})
}

// A backend that reads nothing: what is held for the client is bounded, and the link is given up at the write timeout. The client goes on over another.
func TestBackendThatNeverReads(t *testing.T) {
	const buffer, timeout = 1000, 10 * time.Second
	payload := strings.Repeat("x", 100-wire.HeaderLen)
	for _, tt := range []struct {
		name string
		send func(*peer, ...string) bool
		lost error
	}{
		{"one-way frames", (*peer).say, nil},
		{"requests", (*peer).ask, ErrLost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork("a:1")
				n["a:1"].behave = deaf(time.Hour)
				g := n.group(t, Config{MinLinks: -1, Buffer: buffer, WriteTimeout: timeout})
				p := lease(t, g)
				synctest.Wait()
				n["a:1"].set(func(s *server) { s.behave = (*visit).echo })
				sent := 1
				for ; !tt.send(p, payload); sent++ {
				}
				if sent*100 > buffer+100 {
					t.Errorf("%d bytes taken", sent*100)
				}
				time.Sleep(timeout - time.Nanosecond)
				if p.tookRooms() != 0 || p.lease.Backend() == "" {
					t.Error("given up too early")
				}
				time.Sleep(time.Second)
				if tt.lost != nil {
					p.expectLost(tt.lost)
					p.expectLost(transport.ErrWriteTimeout)
					return
				}
				if got := p.tookRooms(); got != 1 {
					t.Errorf("Room was called %d times", got)
				}
				p.ask("hello")
				synctest.Wait()
				p.expect("hello")
			})
		})
	}
}

// What a link that has ended did not take no longer counts: there is room at once, not only when there is another link.
func TestRoomAfterALoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = deaf(time.Second)
		p := lease(t, n.group(t, Config{MinLinks: -1, Buffer: 1000}))
		synctest.Wait()
		for !p.say("x") {
		}
		time.Sleep(time.Second - time.Nanosecond)
		if p.tookRooms() != 0 {
			t.Error("Room although nothing was read")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if p.tookRooms() != 1 || p.lease.Backend() != "" {
			t.Error("no Room when the link had ended")
		}
	})
}

// A client that takes no more stops its backend, for as long as it wants: the heartbeat does not end a link that is not read.
func TestSlowClient(t *testing.T) {
	const frames, payload = 1000, 1 << 10
	const piece = 16 << 10 // the most that one read brings, off the raw path
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		var sent atomic.Int64
		n["a:1"].behave = func(v *visit) {
			asked := make(chan frame, frames) // it reads while it writes
			go func() {
				defer close(asked)
				for f, err := v.next(); err == nil; f, err = v.next() {
					asked <- f
				}
			}()
			for sent.Load() < frames {
				v.send(0x10, 0, strings.Repeat("x", payload))
				sent.Add(1)
				for range len(asked) {
					v.reply(<-asked)
				}
			}
			for f := range asked {
				v.reply(f)
			}
		}
		p := &peer{t: t, full: true}
		p.lease = n.group(t, Config{MinLinks: -1}).Lease(p, Client{})
		last := int64(0)
		for rounds := 0; ; rounds++ {
			time.Sleep(time.Hour)
			now := sent.Load()
			if now >= frames {
				break
			}
			if got := (now - last) * payload; got > 2*piece {
				t.Fatalf("round %d: %d bytes were read", rounds, got)
			}
			if rounds > 2*frames {
				t.Fatal("Resume moves nothing")
			}
			last = now
			p.lease.Resume() // and full again
		}
		p.setFull(false)
		p.lease.Resume()
		p.ask("done?")
		synctest.Wait()
		if got := len(p.got); got != frames+1 || p.got[frames] != "done?" {
			t.Errorf("%d frames came", got)
		}
		if n["a:1"].visited() != 1 {
			t.Errorf("%d links", n["a:1"].visited())
		}
	})
}

// A Resume in vain does not undo the next stop: one for a link that is gone, one too many, one before any stop.
func TestResumeInVain(t *testing.T) {
	for _, resumes := range []int{0, 1, 5} {
		t.Run(fmt.Sprint(resumes), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork("a:1")
				n["a:1"].behave = func(v *visit) {
					for i := 0; ; i++ {
						if _, err := v.nc.Write(wire.AppendFrame(nil, 0x10, 0, []byte(fmt.Sprint(i)))); err != nil {
							return
						}
					}
				}
				g := n.group(t, Config{MinLinks: -1, Heartbeat: &noHeartbeat})
				p := &peer{t: t, full: true}
				p.lease = &session{g: g, peer: p}
				for range resumes {
					p.lease.Resume()
				}
				g.enqueue(p.lease.(*session), false)
				synctest.Wait()
				for range resumes {
					p.lease.(*session).source.Load().conn.Resume() // meant for an earlier stop
				}
				synctest.Wait()
				p.expect("0")
				p.lease.Resume()
				synctest.Wait()
				p.expect("1")
			})
		})
	}
}

// Resume may come before Frames has returned.
func TestResumeBeforeFramesHasReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = func(v *visit) {
			for range 100 {
				v.send(0x10, 0, "x")
			}
			v.echo()
		}
		p := &hasty{}
		p.mu.Lock()
		p.lease = n.group(t, Config{MinLinks: -1}).Lease(p, Client{}).(*session)
		p.mu.Unlock()
		synctest.Wait()
		if p.frames != 100 {
			t.Errorf("%d frames came, not 100", p.frames)
		}
	})
}

// hasty is a client that is full, and has room again at once. The quitter is embedded for the methods.
type hasty struct {
	quitter
	frames int
}

func (h *hasty) Frames(_ []byte, n int) (full bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.frames += n
	h.lease.Resume()
	return true
}

// A client that is full with what came before it is read no further than a piece.
func TestFullWithEarlyFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = func(v *visit) {
			v.send(0x10, 0, "early")
			deaf(time.Minute)(v)
			for i := range 5 {
				v.send(0x10, 0, fmt.Sprint(i))
			}
			v.echo()
		}
		g := n.group(t, Config{Heartbeat: &noHeartbeat})
		time.Sleep(time.Second)
		p := &peer{t: t, full: true}
		p.lease = g.Lease(p, Client{})
		p.expect("early")
		time.Sleep(time.Hour)
		p.expect("0") // the read that was under way
		p.setFull(false)
		p.lease.Resume()
		synctest.Wait()
		p.expect("1", "2", "3", "4")
	})
}

// The frames of one read come in one run, pings left out.
func TestFramesComeInRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = func(v *visit) {
			go v.mute()
			for _, piece := range [][]string{{"1", "2", "ping", "3", "4", "5"}, {"6"}, {"ping", "7"}, {"ping"}, {"8", "ping"}} {
				var b []byte
				for _, s := range piece {
					if s == "ping" {
						b = wire.AppendFrame(b, wire.CmdPing, wire.FlagReq, []byte("p")) // as long as the others
						continue
					}
					b = wire.AppendFrame(b, 0x10, 0, []byte(s))
				}
				_, _ = v.nc.Write(b)
			}
			<-v.left
		}
		p := &counter{peer: peer{t: t}}
		n.group(t, Config{MinLinks: -1}).Lease(p, Client{})
		synctest.Wait()
		equal(t, "runs of frames", p.runs, []int{2, 3, 1, 1, 1})
		p.expect("1", "2", "3", "4", "5", "6", "7", "8")
	})
}

// counter is a client that counts the frames of each run.
type counter struct {
	peer
	runs []int // of the connection's goroutine
}

func (c *counter) Frames(run []byte, n int) (full bool) {
	c.runs = append(c.runs, n)
	return c.peer.Frames(run, n)
}
