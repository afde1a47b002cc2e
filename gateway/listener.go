package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
)

func init() {
	caddy.RegisterNetwork("gopr", listen)
}

// sockets are the listening sockets of the network gopr, by their address. A socket lives as long as any configuration listens on it: so in a reload, where the
// new configuration listens before the old one stops, it is handed over with all that has come in and nobody has accepted yet.
var sockets = struct {
	sync.Mutex
	open map[string]*socket
}{open: make(map[string]*socket)}

// listen is Caddy's way to a listener of the network gopr: TCP, whose socket outlives configurations. The listener ends with its context, too: caddy-l4 forgets the
// listeners of a configuration of which another address was taken.
func listen(ctx context.Context, _, host, ports string, offset uint, cfg net.ListenConfig) (any, error) {
	first, _, _ := strings.Cut(ports, "-")
	port, err := strconv.ParseUint(first, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("gopr/%s: the port %q is no number: write it as gopr/:7450", host, ports)
	}
	addr := net.JoinHostPort(host, strconv.FormatUint(port+uint64(offset), 10))

	sockets.Lock()
	defer sockets.Unlock()
	s := sockets.open[addr]
	if s == nil || port == 0 { // port 0 is another one each time
		shareable(&cfg)
		ln, err := cfg.Listen(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		s = &socket{Listener: ln, addr: addr, conns: make(chan net.Conn), unused: make(chan struct{}), done: make(chan struct{})}
		if port != 0 {
			sockets.open[addr] = s
		}
		go s.accept()
	}
	s.users++
	l := &listener{socket: s, closed: make(chan struct{})}
	l.forget = context.AfterFunc(ctx, l.end)
	return l, nil
}

// refuse closes all sockets: from now on connects are refused. What has been accepted lives on.
func refuse() {
	sockets.Lock()
	defer sockets.Unlock()
	for _, s := range sockets.open {
		s.close()
	}
	clear(sockets.open)
}

// socket is one listening socket, and the goroutine that accepts for all who listen on it.
type socket struct {
	net.Listener
	addr   string
	users  int           // guarded by sockets
	conns  chan net.Conn // accepted, for whichever listener takes it
	unused chan struct{} // closed with the socket
	done   chan struct{} // closed when accept has returned
}

// An accept that failed is tried again after a while.
const (
	acceptAgain    = 5 * time.Millisecond // doubled with each failure in a row,
	acceptAgainMax = time.Second          // up to this
)

// accept accepts until the socket is closed. Any other error says something of one connection or of this moment (no descriptors are left, a firewall forbade it),
// never of the socket.
func (s *socket) accept() {
	defer close(s.done)
	wait := acceptAgain
	var quiet Quiet
	for {
		nc, err := s.Accept()
		switch {
		case err == nil:
			wait = acceptAgain
			select {
			case s.conns <- nc:
			case <-s.unused:
				_ = nc.Close()
				return
			}
			continue
		case errors.Is(err, net.ErrClosed):
			return
		}
		acceptErrors.Inc()
		if ok, suppressed := quiet.Pass("accept", time.Now()); ok {
			Log.Error("can't accept connections; trying again", "address", s.Addr().String(), "error", err, "suppressed", suppressed)
		}
		select {
		case <-time.After(wait):
			wait = min(2*wait, acceptAgainMax)
		case <-s.unused:
			return
		}
	}
}

// close ends the socket, and waits for its goroutine. sockets is held.
func (s *socket) close() {
	select {
	case <-s.unused:
		return
	default:
	}
	close(s.unused)
	_ = s.Close()
	<-s.done
}

// release ends one use.
func (s *socket) release() {
	sockets.Lock()
	defer sockets.Unlock()
	s.users--
	if s.users > 0 {
		return
	}
	if sockets.open[s.addr] == s {
		delete(sockets.open, s.addr)
	}
	s.close()
}

// listener is one configuration's share of a socket.
type listener struct {
	socket *socket
	once   sync.Once
	closed chan struct{}
	forget func() bool // the context
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.closed: // first: what comes is the next configuration's
		return nil, net.ErrClosed
	default:
	}
	select {
	case nc := <-l.socket.conns:
		return nc, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-l.socket.unused:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. What has come in and was not accepted is left to the others that listen on the socket; where there are none, it ends with it.
func (l *listener) Close() error {
	l.forget()
	l.end()
	return nil
}

func (l *listener) end() {
	l.once.Do(func() {
		close(l.closed)
		l.socket.release()
	})
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return l.socket.Addr() }
