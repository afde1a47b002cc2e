package e2e

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A delay is a TCP proxy before a backend that holds back what goes there, for as long as is set. It is what tc netem would do, which not every kernel has.
type delay struct {
	*backend
	by atomic.Int64
}

// newDelay starts one that lasts as long as the test. It delays nothing yet.
func newDelay(t testing.TB, to string) *delay {
	t.Helper()
	d := new(delay)
	d.backend = newBackend(t, func(nc net.Conn, stopped <-chan struct{}) { d.forward(nc, to, stopped) })
	return d
}

func (d *delay) set(by time.Duration) { d.by.Store(int64(by)) }

// parcel is a piece of the stream, and when it is to be handed on.
type parcel struct {
	at   time.Time
	data []byte
}

func (d *delay) forward(nc net.Conn, to string, stopped <-chan struct{}) {
	up, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	queue := make(chan parcel, 1024)
	var wg sync.WaitGroup
	wg.Go(func() { // back, at once
		defer func() { _ = nc.Close() }()
		pass(nc, up)
	})
	wg.Go(func() { // there, each piece in its time
		defer func() { _ = up.Close() }()
		for p := range queue {
			select {
			case <-time.After(time.Until(p.at)):
			case <-stopped:
				return
			}
			if _, err := up.Write(p.data); err != nil {
				return
			}
		}
	})
	defer wg.Wait()
	defer close(queue)
	buf := make([]byte, 64<<10)
	for {
		n, err := nc.Read(buf)
		if err != nil {
			return
		}
		select {
		case queue <- parcel{time.Now().Add(time.Duration(d.by.Load())), append([]byte(nil), buf[:n]...)}:
		case <-stopped:
			return
		}
	}
}

// pass copies until one side has ended.
func pass(to, from net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
