package handler

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/mholt/caddy-l4/layer4"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/transport"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// patience is how long a test on real sockets waits for what must happen before it says that it does not. No test needs it to pass.
const patience = 30 * time.Second

// provisioned is the configuration, empty, in whose registry the metrics are.
var provisioned caddy.Context

func TestMain(m *testing.M) {
	gateway.Log = slog.New(lines)
	var err error
	if provisioned, err = caddy.ProvisionContext(new(caddy.Config)); err != nil {
		panic(err)
	}
	if _, err = gateway.Of(provisioned); err != nil {
		panic(err)
	}
	os.Exit(leakless(m))
}

// leakless runs the tests, and fails them where they leave a goroutine behind. What Caddy itself started before is none of ours.
func leakless(m *testing.M) int {
	before := goleak.IgnoreCurrent()
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(before); err != nil {
			_, _ = os.Stderr.WriteString(err.Error())
			return 1
		}
	}
	return code
}

// A frame in bytes.
func frame(cmd, flag uint8, payload string) []byte {
	return wire.AppendFrame(nil, cmd, flag, []byte(payload))
}

// The frames that tests are made of.
var (
	ping    = []byte("GOPR\x00\x01\x00\x04\x01\x01mark")
	pong    = []byte("GOPR\x00\x01\x00\x04\x02\x02mark")
	request = []byte("GOPR\x00\x01\x00\x05\x10\x01hello")
	answer  = []byte("GOPR\x00\x01\x00\x05\x10\x02hello")
	oneWay  = []byte("GOPR\x00\x01\x00\x03\x20\x00log")
)

func join(frames ...[]byte) []byte { return slices.Concat(frames...) }

// handlers counts the handlers of all tests.
var handlers atomic.Int64

// newHandler returns a handler with a name of its own (so with metrics of its own, however often the test runs), that echoes unless edit says otherwise, as it is after Provision.
func newHandler(t testing.TB, edit func(*Handler)) *Handler {
	t.Helper()
	h := &Handler{Name: fmt.Sprintf("%s#%d", t.Name(), handlers.Add(1)), Respond: respondEcho}
	if edit != nil {
		edit(h)
	}
	var err error
	if h.settings, err = h.compile(); err != nil {
		t.Fatal(err)
	}
	h.live = gateway.AcquireLive(h.settings.name)
	t.Cleanup(func() { gateway.ReleaseLive(h.live) })
	return h
}

// forwarding has frames go to backends that dial finds.
func forwarding(t testing.TB, dial func() (net.Conn, error), edit func(*Handler)) *Handler {
	t.Helper()
	h := newHandler(t, func(h *Handler) {
		h.Respond = ""
		h.Upstream = &Upstream{Backends: []string{"backend:9000"}, Connections: &Connections{Min: new(int)}}
		if edit != nil {
			edit(h)
		}
	})
	h.settings.upstream.cfg.Dial = func(context.Context, string, string) (net.Conn, error) { return dial() }
	return h
}

// A client is the other end of a connection that a handler serves.
type client struct {
	net.Conn
	t    testing.TB
	done chan struct{} // closed when Handle has returned
	err  error         // what it returned
}

// attach has the handler serve one end of a pair.
func attach(t testing.TB, h *Handler, ours, theirs net.Conn) *client {
	t.Helper()
	c := &client{Conn: theirs, t: t, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		defer func() { _ = ours.Close() }() // as layer4 does
		c.err = h.Handle(layer4.WrapConnection(ours, nil, zap.NewNop()), nil)
	}()
	t.Cleanup(func() {
		_ = c.Close()
		<-c.done
		if c.err != nil {
			t.Errorf("Handle returned %v, want nil: an error is an ERROR line of Caddy's", c.err)
		}
	})
	return c
}

// onPipe serves one end of an in-memory connection: it has no buffer, and works in a synctest bubble.
func onPipe(t testing.TB, h *Handler) *client {
	t.Helper()
	ours, theirs := net.Pipe()
	return attach(t, h, ours, theirs)
}

// onTCP serves a real socket.
func onTCP(t testing.TB, h *Handler) *client {
	t.Helper()
	ours, theirs := tcpPair(t)
	return attach(t, h, ours, theirs)
}

func tcpPair(t testing.TB) (ours, theirs net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	if theirs, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if ours, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

func (c *client) send(frames ...[]byte) {
	c.t.Helper()
	if _, err := c.Write(join(frames...)); err != nil {
		c.t.Fatalf("sending: %v", err)
	}
}

// expect reads exactly these bytes.
func (c *client) expect(frames ...[]byte) {
	c.t.Helper()
	expect(c.t, c, join(frames...))
}

func expect(t testing.TB, r io.Reader, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r, got); err != nil {
		t.Fatalf("got %d bytes of %d and %v: %q", n, len(want), err, head(got[:n]))
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("got %q, want %q", head(got), head(want))
	}
}

func head(b []byte) []byte { return b[:min(len(b), 200)] }

// expectEnd waits for the end of the connection, with nothing more before it.
func (c *client) expectEnd() {
	c.t.Helper()
	rest, _ := io.ReadAll(c) // io.EOF or a reset, as the system likes
	if len(rest) > 0 {
		c.t.Fatalf("got %q before the end", head(rest))
	}
	<-c.done
}

// readFrame reads one frame.
func readFrame(r io.Reader) (cmd, flag uint8, payload []byte, err error) {
	header := make([]byte, wire.HeaderLen)
	if _, err := io.ReadFull(r, header); err != nil {
		return 0, 0, nil, err
	}
	payload = make([]byte, binary.BigEndian.Uint16(header[wire.OffsetLength:]))
	_, err = io.ReadFull(r, payload)
	return header[wire.OffsetCmd], header[wire.OffsetFlag], payload, err
}

// answering is a backend that answers each request with its payload, and each ping, until the connection ends.
func answering(nc net.Conn) {
	defer func() { _ = nc.Close() }()
	for {
		cmd, flag, payload, err := readFrame(nc)
		if err != nil {
			return
		}
		switch {
		case cmd == wire.CmdPing && flag == wire.FlagReq:
			cmd, flag = wire.CmdPong, wire.FlagRsp
		case flag&wire.FlagReq != 0:
			flag = wire.FlagRsp
		default:
			continue
		}
		if _, err := nc.Write(wire.AppendFrame(nil, cmd, flag, payload)); err != nil {
			return
		}
	}
}

// pipes is a dial whose other ends come out of the channel. In a bubble it must be made in the bubble.
func pipes() (dial func() (net.Conn, error), backends chan net.Conn) {
	backends = make(chan net.Conn, 16)
	return func() (net.Conn, error) {
		ours, theirs := net.Pipe()
		backends <- theirs
		return ours, nil
	}, backends
}

// A life is a connection without a driver: the test gives it its pieces and ticks. It is made and used in a synctest bubble.
type life struct {
	*conn
	t    *testing.T
	out  *sink
	rest []byte // fed, and not used yet
}

func newLife(t *testing.T, h *Handler) *life {
	out := new(sink)
	live := gateway.AcquireLive(h.settings.name)
	c := newConn(out, h.settings, live, time.Now())
	release, err := c.connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		release()
		gateway.ReleaseLive(live)
	})
	return &life{conn: c, t: t, out: out}
}

// feed gives it a stream in pieces, as a transport does: what is left of one comes again before the next. It returns what is left at last, which
// comes again with the next feed.
func (l *life) feed(stream []byte, sizes ...int) (rest []byte, next transport.Next) {
	for len(stream) > 0 {
		size := len(stream)
		if len(sizes) > 0 {
			size = min(sizes[0], size)
			sizes = append(sizes[1:], sizes[0])
		}
		l.rest = append(l.rest, stream[:size]...)
		stream = stream[size:]
		var used int
		used, next = l.Data(time.Now(), l.rest)
		l.rest = l.rest[used:]
		if next != transport.More {
			break
		}
	}
	synctest.Wait() // for the writer
	return l.rest, next
}

// A sink is the network end of a life: it takes all that is written.
type sink struct {
	mu     sync.Mutex
	writes [][]byte
	closed bool
}

func (s *sink) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes = append(s.writes, bytes.Clone(b))
	return len(b), nil
}

// take returns what was written since the last call: all of it, and in how many writes.
func (s *sink) take() (b []byte, writes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, writes = slices.Concat(s.writes...), len(s.writes)
	s.writes = nil
	return b, writes
}

func (*sink) Read([]byte) (int, error) { return 0, errors.New("nobody reads from a sink") }

func (s *sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

func (*sink) LocalAddr() net.Addr              { return &net.TCPAddr{Port: 7450} }
func (*sink) RemoteAddr() net.Addr             { return &net.TCPAddr{Port: 40000} }
func (*sink) SetDeadline(time.Time) error      { return nil }
func (*sink) SetReadDeadline(time.Time) error  { return nil }
func (*sink) SetWriteDeadline(time.Time) error { return nil }

// lines is the log.
var lines = new(recorder)

// recorder is a slog.Handler that keeps all lines.
type recorder struct {
	mu  sync.Mutex
	all []line
}

// A line is one log line: its level, message and attributes.
type line struct {
	level slog.Level
	msg   string
	attrs map[string]string
}

func (*recorder) Enabled(context.Context, slog.Level) bool { return true }

func (r *recorder) Handle(_ context.Context, rec slog.Record) error {
	l := line{rec.Level, rec.Message, make(map[string]string)}
	rec.Attrs(func(a slog.Attr) bool {
		l.attrs[a.Key] = a.Value.String()
		return true
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, l)
	return nil
}

func (r *recorder) WithAttrs([]slog.Attr) slog.Handler { return r }
func (r *recorder) WithGroup(string) slog.Handler      { return r }

// of returns the lines of a handler with this message.
func (r *recorder) of(handler, msg string) []line {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []line
	for _, l := range r.all {
		if l.attrs["handler"] == handler && l.msg == msg {
			found = append(found, l)
		}
	}
	return found
}

// metric returns the value of a metric of a handler, 0 where there is none. Further labels come in pairs; a group's name, where it is not said, is the handler's.
func metric(t testing.TB, name, handler string, labels ...string) float64 {
	t.Helper()
	return metricIn(t, provisioned.GetMetricsRegistry(), name, handler, labels...)
}

func metricIn(t testing.TB, registry prometheus.Gatherer, name, handler string, labels ...string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"handler": handler}
	if strings.HasPrefix(name, "upstream_") {
		want["upstream"] = handler
	}
	for pair := range slices.Chunk(labels, 2) {
		want[pair[0]] = pair[1]
	}
	for _, f := range families {
		if f.GetName() != "caddy_gopr_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			got := make(map[string]string)
			for _, l := range m.GetLabel() {
				got[l.GetName()] = l.GetValue()
			}
			if maps.Equal(got, want) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

// closedFor says that n connections of the handler have ended for the reason.
func closedFor(t testing.TB, h *Handler, reason string, n float64) {
	t.Helper()
	got := func() float64 { return metric(t, "connections_closed_total", h.settings.name, "reason", reason) }
	for end := time.Now().Add(patience); got() != n && h.live.Open() > 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		// A client that an event loop serves may see the end before it is counted.
	}
	if got := got(); got != n {
		t.Errorf("%v connections closed for %s, want %v; the log says %v", got, reason, n, lines.of(h.settings.name, "connection closed"))
	}
}

// eventually waits until ok, on real sockets.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain for %s", patience, what)
		}
	}
}

// contains is strings.Contains with a message.
func contains(t testing.TB, s, part string) {
	t.Helper()
	if !strings.Contains(s, part) {
		t.Errorf("%q does not contain %q", s, part)
	}
}

func newConn(nc net.Conn, s *settings, live *gateway.Live, now time.Time) *conn {
	c := new(conn)
	c.begin(nc, s, live, now)
	return c
}
