package upstream

import (
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// What can come between the moments at which a link is taken from the spare ones, is bound to its lease, and is used by it.

// taken returns a spare link as the group's lock leaves it, and a lease that waits for it.
func taken(t *testing.T, g *Group) (*peer, *link) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	p := &peer{t: t}
	p.lease = &session{g: g, peer: p}
	return p, g.backends[0].takeSpare()
}

// die ends the connection of a link. Until the lock that is returned is given up, only writes tell.
func die(l *link) (lock interface{ Unlock() }) {
	l.mu.Lock() // what comes next is ended, which wants it
	l.conn.Close(io.ErrUnexpectedEOF)
	for err := error(nil); err == nil; runtime.Gosched() {
		_, err = l.conn.Write(nil)
	}
	return &l.mu
}

// A link that ends after it was bound does not hold up the lease, which may have the next one by then.
func TestLinkLostBeforeUse(t *testing.T) {
	for _, told := range []bool{false, true} {
		for _, waits := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				g := newNetwork("a:1").group(t, Config{MinLinks: 2})
				time.Sleep(time.Minute)
				p, first := taken(t, g)
				if waits {
					p.ask("1")
				}
				if !first.bind(p.lease.(*session)) {
					t.Fatal("the spare link is gone")
				}
				lock := die(first)
				if told {
					lock.Unlock()
					time.Sleep(time.Second) // it is, and has the other spare link
					p.lease.(*session).use(first)
				} else {
					p.lease.(*session).use(first)
					lock.Unlock()
				}
				p.ask("2")
				time.Sleep(time.Second)
				synctest.Wait()
				if waits {
					p.expect("1", "2")
				} else {
					p.expect("2")
				}
				if got := p.lease.Unanswered(); got != 0 {
					t.Errorf("%d requests unanswered", got)
				}
				p.lease.Close()
			})
		}
	}
}

// A Resume between bind and use is not lost.
func TestResumeBeforeUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = func(v *visit) {
			deaf(time.Second)(v)
			v.send(0x10, 0, "1")
			v.send(0x10, 0, "2")
			v.echo()
		}
		g := n.group(t, Config{})
		synctest.Wait()
		p, l := taken(t, g)
		l.bind(p.lease.(*session))
		p.setFull(true)
		time.Sleep(time.Minute)
		p.expect("1")
		p.setFull(false)
		p.lease.Resume()
		synctest.Wait()
		p.expect("2")
		p.lease.(*session).use(l)
		p.lease.Close()
	})
}

// Who was given a link that had ended waits no longer than others: it was the first.
func TestDeadSpareCostsNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		g := n.group(t, Config{MaxLinks: 1})
		synctest.Wait()
		n["a:1"].set(func(s *server) { s.delay = time.Second })
		first, l := taken(t, g)
		second := lease(t, g)
		lock := die(l)
		l.gone = true
		lock.Unlock()
		first.lease.(*session).take(l)
		time.Sleep(time.Minute)
		if at := first.lease.Backend(); at == "" {
			t.Error("the first still waits")
		}
		if at := second.lease.Backend(); at != "" {
			t.Error("the second was served before")
		}
		first.lease.Close()
	})
}

// A link that was ended for too many early frames is no client's any more, though it is not over yet.
func TestNoLinkWithAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newNetwork("a:1").group(t, Config{Buffer: 100})
		synctest.Wait()
		p, l := taken(t, g)
		l.keep(make([]byte, 101), count{frames: 1})
		if l.bind(p.lease.(*session)) {
			t.Error("it is given to a client")
		}
		p.expect()
		p.lease.Close()
	})
}

// What a link says that the lease does not have any more makes no room.
func TestRoomOfAnotherLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = deaf(time.Minute)
		g := n.group(t, Config{MinLinks: 2, Buffer: 100})
		synctest.Wait()
		_, other := taken(t, g)
		p := lease(t, g)
		for !p.say("x") {
		}
		p.lease.(*session).room(other)
		if p.tookRooms() != 0 {
			t.Error("Room")
		}
	})
}

// A link that ends before a client has it is no client's loss, and no stain on the client.
func TestSpareDiesAsItIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		g := n.group(t, Config{OnLoss: Close})
		time.Sleep(time.Second)
		var spare *link
		g.mu.Lock()
		for l := range g.backends[0].links {
			spare = l
		}
		spare.ended() // as serve will do when it gets the group's lock
		spare.conn.Close(io.ErrUnexpectedEOF)
		g.mu.Unlock()
		p := lease(t, g)
		p.ask("1")
		time.Sleep(2 * time.Second)
		p.expect("1")
		if p.lease.(*session).retry != nil {
			t.Error("it was held against the client")
		}
		if b := g.Stat().Backends[0]; b.Lost != 1 || b.Error != io.ErrUnexpectedEOF.Error() {
			t.Errorf("it was not held against the backend: %+v", b)
		}
	})
}

// A lease that has ended by the time its link comes closes it.
func TestLinkForALeaseThatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = func(v *visit) { v.send(0x10, 0, "early"); v.echo() }
		g := n.group(t, Config{})
		synctest.Wait()
		p := &peer{t: t}
		p.lease = &session{g: g, peer: p}
		p.lease.Close()
		g.mu.Lock()
		g.unlock([]match{{p.lease.(*session), g.backends[0].takeSpare()}})
		synctest.Wait()
		p.expect()
		if _, err := n["a:1"].visit(0).nc.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("the link is open: %v", err)
		}
		if b := g.Stat().Backends[0]; b.Links != 1 || b.Spare != 1 || b.Lost != 0 {
			t.Errorf("%+v", b)
		}
	})
}
