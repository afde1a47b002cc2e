package transport

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.Cleanup(weightless)) }

// weightless: when all has ended, nothing is held, in the books either.
func weightless(code int) {
	if n := Held(); n != 0 && code == 0 {
		fmt.Printf("%d bytes are held by nobody\n", n)
		code = 1
	}
	os.Exit(code)
}

// patience is how long a test waits for what must happen before it says that it does not. No test needs it to pass.
const patience = 30 * time.Second

// A network makes pairs of connected connections. What holds on one must hold on all.
type network struct {
	name string
	pair func(testing.TB) (ours, peer net.Conn)
	loop bool // served by an event loop
}

// The networks by place: tests that are about one take it from here.
var networks = []network{
	{name: "tcp", pair: tcpPair},
	{name: "hidden tcp", pair: hiddenPair},
	{name: "pipe", pair: pipePair},
	{name: "tls", pair: tlsPair},
	{name: "event loop", pair: tcpPair, loop: true},
}

// onEach runs f on each network.
func onEach(t *testing.T, f func(*testing.T, network)) {
	t.Helper()
	t.Parallel()
	for _, n := range networks {
		t.Run(n.name, func(t *testing.T) {
			t.Parallel()
			f(t, n)
		})
	}
}

// tcpPair is the raw path.
func tcpPair(t testing.TB) (ours, peer net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	if peer, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if ours, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	return ours, peer
}

// hidden is a connection whose type says nothing: the portable path.
type hidden struct{ net.Conn }

func hiddenPair(t testing.TB) (ours, peer net.Conn) {
	ours, peer = tcpPair(t)
	return hidden{ours}, peer
}

// pipePair has no buffer: a write lasts until it is read. It has no half-close, and it works in a synctest bubble.
func pipePair(testing.TB) (ours, peer net.Conn) { return net.Pipe() }

var certificate = sync.OnceValues(func() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
})

func tlsPair(t testing.TB) (ours, peer net.Conn) {
	t.Helper()
	cert, err := certificate()
	if err != nil {
		t.Fatal(err)
	}
	a, b := tcpPair(t)
	server := tls.Server(a, &tls.Config{Certificates: []tls.Certificate{cert}})
	client := tls.Client(b, &tls.Config{InsecureSkipVerify: true})
	shaken := make(chan error, 1)
	go func() { shaken <- client.Handshake() }()
	if err := errors.Join(server.Handshake(), <-shaken); err != nil {
		t.Fatal(err)
	}
	return server, client
}

// halfClose ends what the peer sends, where the network can: it is false on a pipe.
func halfClose(t *testing.T, peer net.Conn) bool {
	t.Helper()
	half, ok := peer.(interface{ CloseWrite() error })
	if ok {
		if err := half.CloseWrite(); err != nil {
			t.Error(err)
		}
	}
	return ok
}

// plug is more than a narrow pair of sockets holds, by far.
const plug = 2 << 20

// narrow makes the buffers of a pair's sockets small, so that plug bytes are more than they take unread.
func narrow(t testing.TB, ours, peer net.Conn) {
	t.Helper()
	under := func(nc net.Conn) *net.TCPConn {
		switch c := nc.(type) {
		case hidden:
			nc = c.Conn
		case *tls.Conn:
			nc = c.NetConn()
		}
		tcp, _ := nc.(*net.TCPConn)
		return tcp
	}
	if a, b := under(ours), under(peer); a != nil && b != nil {
		if err := errors.Join(a.SetWriteBuffer(128<<10), b.SetReadBuffer(128<<10)); err != nil {
			t.Fatal(err)
		}
	}
}

// A life is a Logic made of functions. Without them it uses all, reads on, ends with the peer, and has no deadline. stop has the next Tick close.
type life struct {
	data     func(now time.Time, b []byte) (int, Next)
	eof      func(now time.Time) Next
	tick     func(now time.Time) Next
	deadline func() time.Time
	drained  func()
	stop     atomic.Bool
}

func (l *life) Data(now time.Time, b []byte) (int, Next) {
	if l.data == nil {
		return len(b), More
	}
	return l.data(now, b)
}

func (l *life) EOF(now time.Time) Next {
	if l.eof == nil {
		return Close
	}
	return l.eof(now)
}

func (l *life) Tick(now time.Time) Next {
	switch {
	case l.stop.Load():
		return Close
	case l.tick == nil:
		return More
	default:
		return l.tick(now)
	}
}

func (l *life) Deadline() time.Time {
	if l.deadline == nil {
		return time.Time{}
	}
	return l.deadline()
}

func (l *life) Drained() {
	if l.drained != nil {
		l.drained()
	}
}

// served is a Conn whose Serve runs, and its peer.
type served struct {
	Conn
	peer net.Conn
	life *life
	done chan struct{}
	err  error // valid when done is closed
}

// start makes a pair and a Conn on it. A life whose functions use the Conn finds it by the pointer: they run after run.
func start(t testing.TB, n network, opt *Options, l *life) *served {
	t.Helper()
	ours, peer := n.pair(t)
	return wrap(n, ours, peer, opt, l)
}

// startNarrow is start on a narrow pair.
func startNarrow(t testing.TB, n network, opt *Options, l *life) *served {
	t.Helper()
	ours, peer := n.pair(t)
	narrow(t, ours, peer)
	return wrap(n, ours, peer, opt, l)
}

func wrap(n network, ours, peer net.Conn, opt *Options, l *life) *served {
	if n.loop {
		o := Options{}
		if opt != nil {
			o = *opt
		}
		o.EventLoop = true
		opt = &o
	}
	return &served{Conn: New(ours, opt, l), peer: peer, life: l, done: make(chan struct{})}
}

// goroutine is the Conn as the goroutine driver knows it.
func (s *served) goroutine() *goroutineConn { return s.Conn.(*goroutineConn) }

// held is what the Conn holds for reading. Its owner calls it.
func (s *served) held() int {
	if c, ok := s.Conn.(*goroutineConn); ok {
		return c.held()
	}
	return heldOnLoop(s.Conn)
}

// writes says whether somebody is writing, or something is kept to be written.
func (s *served) writes() bool {
	if c, ok := s.Conn.(*goroutineConn); ok {
		return c.busy || c.out != nil
	}
	return writesOnLoop(s.Conn)
}

// run serves, until the test ends at the latest.
func (s *served) run(t testing.TB) *served {
	t.Helper()
	go func() {
		defer close(s.done)
		s.err = s.Serve(nil)
	}()
	t.Cleanup(func() {
		s.life.stop.Store(true)
		s.Wake()
		_ = s.peer.Close()
		<-s.done
	})
	return s
}

// wait is end for a synctest bubble, where waiting in vain is a panic.
func (s *served) wait() error {
	<-s.done
	return s.err
}

// end returns what Serve returned.
func (s *served) end(t testing.TB) error {
	t.Helper()
	within(t, s.done, "Serve to return")
	return s.err
}

// within receives from ch.
func within[T any](t testing.TB, ch <-chan T, what string) (v T) {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case v = <-ch:
	case <-timer.C:
		t.Fatalf("waited %v in vain for %s", patience, what)
	}
	return v
}

// send writes b to the peer's side from a goroutine of its own, in pieces of the given sizes, the last one again and again.
func send(t testing.TB, peer net.Conn, b []byte, sizes ...int) (sent chan struct{}) {
	t.Helper()
	sent = make(chan struct{})
	go func() {
		defer close(sent)
		for len(b) > 0 {
			size := min(sizes[0], len(b))
			if _, err := peer.Write(b[:size]); err != nil {
				t.Errorf("the peer's write: %v", err)
				return
			}
			b = b[size:]
			if len(sizes) > 1 {
				sizes = sizes[1:]
			}
		}
	}()
	return sent
}

// must write whole.
func must(t testing.TB, w io.Writer, b []byte) {
	t.Helper()
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
}

// stream returns n bytes of which no two neighbourhoods look alike, so that bytes out of place show.
func stream(n int) []byte {
	b := make([]byte, n)
	x := uint32(n) | 1
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x >> 8)
	}
	return b
}
