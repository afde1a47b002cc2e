package handler

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
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mholt/caddy-l4/layer4"
	"go.uber.org/zap"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/keepalive"
	"github.com/caddy-gopr/caddy-gopr/transport"
	"github.com/caddy-gopr/caddy-gopr/upstream"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

func TestLimitsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, func(h *Handler) { h.Limits = &Limits{Connections: 2} })
		first, second := onPipe(t, h), onPipe(t, h)
		synctest.Wait()
		onPipe(t, h).expectEnd()
		closedFor(t, h, reasonConnections, 1)
		if n := metric(t, "connections", h.Name); n != 2 {
			t.Errorf("%v connections, want 2", n)
		}
		// The others did not notice, and a place that is free is taken again.
		first.send(request)
		first.expect(answer)
		_ = second.Close()
		<-second.done
		third := onPipe(t, h)
		third.send(request)
		third.expect(answer)
		if n := metric(t, "connections_opened_total", h.Name); n != 3 {
			t.Errorf("%v connections opened, want 3: who is refused is not taken in", n)
		}
	})
}

// panicking is a connection in whose first read something goes wrong.
type panicking struct{ net.Conn }

func (panicking) Read([]byte) (int, error) { panic("something went wrong") }

func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, backends := pipes()
		h := forwarding(t, dial, nil)
		other := onPipe(t, h)
		<-backends
		ours, theirs := net.Pipe()
		attach(t, h, panicking{ours}, theirs).expectEnd()
		if _, err := (<-backends).Read(make([]byte, 1)); err == nil {
			t.Error("the link of the connection that panicked is still there")
		}
		closedFor(t, h, reasonPanic, 1)
		logged := lines.of(h.Name, "panic in a gopr connection")
		if len(logged) != 1 || logged[0].attrs["panic"] != "something went wrong" {
			t.Fatalf("the log says %v, want one panic", logged)
		}
		contains(t, logged[0].attrs["stack"], "panicking.Read")
		other.send(ping)
		other.expect(pong)
		if n := metric(t, "connections", h.Name); n != 1 {
			t.Errorf("%v connections, want the other one", n)
		}
	})
}

// TestLogIsQuiet: a storm of bad clients is one line a second for each reason; the counters have all of them.
func TestLogIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, nil)
		storm := func() {
			for range 50 {
				c := onPipe(t, h)
				c.send([]byte("X"))
				c.expectEnd()
				c = onPipe(t, h)
				c.send([]byte("GOPR\x00\x09\x00\x00"))
				c.expectEnd()
			}
		}
		storm()
		time.Sleep(time.Second)
		storm()
		closedFor(t, h, "magic", 100)
		closedFor(t, h, "version", 100)
		suppressed := map[string][]string{}
		for _, l := range lines.of(h.Name, "connection closed") {
			suppressed[l.attrs["reason"]] = append(suppressed[l.attrs["reason"]], l.attrs["suppressed"])
		}
		for _, reason := range []string{"magic", "version"} {
			if s := suppressed[reason]; len(s) != 2 || s[0] != "" || s[1] != "49" {
				t.Errorf("%s: lines with %q suppressed, want two, the second with 49", reason, s)
			}
		}
	})
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, backends := pipes()
		h := forwarding(t, dial, nil)
		c := onPipe(t, h)
		backend := <-backends
		go answering(backend)
		c.send(ping)
		c.expect(pong)
		c.send(request, oneWay)
		c.expect(answer)
		synctest.Wait()

		in, out := len(ping)+len(request)+len(oneWay), len(pong)+len(answer)
		for _, m := range []struct {
			name   string
			labels []string
			want   float64
		}{
			{"connections", nil, 1},
			{"connections_opened_total", nil, 1},
			{"frames_total", []string{"direction", "in"}, 2},
			{"frames_total", []string{"direction", "out"}, 1},
			{"bytes_total", []string{"direction", "in"}, float64(in)},
			{"bytes_total", []string{"direction", "out"}, float64(out)},
			{"pings_answered_total", nil, 1},
			{"upstream_waiting", nil, 0},
			{"upstream_up", []string{"backend", "backend:9000"}, 1},
			{"upstream_takes", []string{"backend", "backend:9000"}, 1},
			{"upstream_ejected", []string{"backend", "backend:9000"}, 0},
			{"upstream_health_score", []string{"backend", "backend:9000"}, 100},
			{"upstream_health_part", []string{"backend", "backend:9000", "part", "rtt"}, 40},
			{"upstream_health_part", []string{"backend", "backend:9000", "part", "failures"}, 35},
			{"upstream_health_part", []string{"backend", "backend:9000", "part", "tls"}, 25},
			{"upstream_links", []string{"backend", "backend:9000", "state", "leased"}, 1},
			{"upstream_links", []string{"backend", "backend:9000", "state", "spare"}, 0},
			{"upstream_dials_total", []string{"backend", "backend:9000", "outcome", "ok"}, 1},
			{"upstream_dials_total", []string{"backend", "backend:9000", "outcome", "error"}, 0},
			{"upstream_failures", []string{"backend", "backend:9000"}, 0},
		} {
			if got := metric(t, m.name, h.Name, m.labels...); got != m.want {
				t.Errorf("%s%q is %v, want %v", m.name, m.labels, got, m.want)
			}
		}
		if got := metric(t, "upstream_links_lost_total", h.Name, "backend", "backend:9000"); got != 0 {
			t.Errorf("%v links lost, want 0", got)
		}
		_ = c.Close()
		<-c.done
		closedFor(t, h, reasonEOF, 1)
		if n := metric(t, "connections", h.Name); n != 0 {
			t.Errorf("%v connections, want 0", n)
		}
	})
}

// TestRegistry: a live connection is on its handler's list, says what it did, and can be ended from there.
func TestRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, backends := pipes()
		h := forwarding(t, dial, nil)
		live := gateway.AcquireLive(h.Name)
		defer gateway.ReleaseLive(live)
		began := time.Now()
		c := onPipe(t, h)
		backend := <-backends
		time.Sleep(time.Second)
		c.send(request, ping)
		c.expect(pong)
		expect(t, backend, request)
		synctest.Wait()

		conns := live.Conns()
		if len(conns) != 1 || live.Open() != 1 {
			t.Fatalf("%d connections on the list and %d open, want 1", len(conns), live.Open())
		}
		want := gateway.Info{
			Remote: c.RemoteAddr(), Local: c.LocalAddr(), Since: began, FramesIn: 1, BytesIn: uint64(len(request) + len(ping)),
			BytesOut: uint64(len(pong)), Unanswered: 1, Links: []gateway.Link{{Group: h.Name, Backend: "backend:9000", Unanswered: 1}},
			ID: conns[0].ID(), State: gateway.StateActive, LastFrame: time.Now(), LastHeard: time.Now(),
		}
		if got := conns[0].Info(); !reflect.DeepEqual(got, want) {
			t.Errorf("info is %+v, want %+v", got, want)
		}
		conns[0].End(reasonKilled)
		c.expectEnd()
		closedFor(t, h, reasonKilled, 1)
		if n := len(live.Conns()); n != 0 {
			t.Errorf("%d connections on the list after the end, want 0", n)
		}
		_ = backend.Close()
	})
}

func TestEndingOf(t *testing.T) {
	tests := []struct {
		err    error
		reason string
	}{
		{nil, reasonEOF},
		{keepalive.ErrIdle, reasonIdle},
		{keepalive.ErrFrameTimeout, reasonFrame},
		{errProbe, reasonHeartbeat},
		{transport.ErrWriteTimeout, reasonWrite},
		{upstream.ErrLost, reasonUpstreamLost},
		{fmt.Errorf("%w: %w", upstream.ErrLost, io.EOF), reasonUpstreamLost},
		{fmt.Errorf("%w: %w", upstream.ErrLost, &wire.RejectError{Reason: wire.ReasonMagic}), reasonUpstreamLost},
		{fmt.Errorf("%w: %w", upstream.ErrUnstable, transport.ErrWriteTimeout), reasonUpstream},
		{upstream.ErrUnstable, reasonUpstream},
		{upstream.ErrGroupClosed, reasonUpstream},
		{&wire.RejectError{Reason: wire.ReasonChecksum}, "checksum"},
		{errors.New("connection reset by peer"), reasonNetwork},
	}
	for _, tt := range tests {
		if got := endingOf(tt.err).reason; got != tt.reason {
			t.Errorf("%v is %q, want %q", tt.err, got, tt.reason)
		}
	}
}

// TestPrefetched: what a matcher has read comes first, and then the socket itself.
func TestPrefetched(t *testing.T) {
	h := newHandler(t, nil)
	ours, theirs := tcpPair(t)
	stream := join(request, ping, request)
	done := make(chan error)
	go func() { done <- h.Handle(layer4.WrapConnection(ours, stream[:20], zap.NewNop()), nil) }()
	if _, err := theirs.Write(stream[20:]); err != nil {
		t.Fatal(err)
	}
	expect(t, theirs, join(answer, pong, answer))
	_ = theirs.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestSocket(t *testing.T) {
	tcp, peer := tcpPair(t)
	defer func() { _, _ = tcp.Close(), peer.Close() }()
	pipe, _ := net.Pipe()
	wrap := func(nc net.Conn, buf string) *layer4.Connection {
		return layer4.WrapConnection(nc, []byte(buf), zap.NewNop())
	}
	plain := wrap(tcp, "read before")
	overTLS := wrap(tls.Server(wrap(tcp, ""), nil), "read before")
	proxied := wrap(raw{tcp}, "")
	throttled := wrap(struct{ net.Conn }{tcp}, "")
	tests := []struct {
		name   string
		cx     *layer4.Connection
		bottom bool // the TCP connection is found
		direct bool // and is what is served
		first  string
	}{
		{"plain", plain, true, true, "read before"},
		{"TLS", overTLS, true, false, ""},
		{"PROXY protocol", proxied, true, false, ""},
		{"who knows", throttled, false, false, ""},
		{"no TCP", wrap(pipe, ""), false, false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found := bottom(tt.cx)
			if (found != nil) != tt.bottom {
				t.Errorf("found %v", found)
			}
			nc, first, err := socket(tt.cx, found)
			if err != nil || string(first) != tt.first {
				t.Errorf("read before: %q, %v; want %q", first, err, tt.first)
			}
			if (nc == net.Conn(tcp)) != tt.direct {
				t.Errorf("serves a %T", nc)
			}
			under, shows := nc.(interface{ NetConn() net.Conn })
			if shows != (tt.bottom && !tt.direct) || shows && under.NetConn() != net.Conn(tcp) {
				t.Errorf("a %T shows what is beneath: %v", nc, shows)
			}
		})
	}
}

// raw is a connection as the PROXY protocol's is.
type raw struct{ tcp net.Conn }

func (r raw) Raw() net.Conn                     { return r.tcp }
func (r raw) Read(b []byte) (int, error)        { return r.tcp.Read(b) }
func (r raw) Write(b []byte) (int, error)       { return r.tcp.Write(b) }
func (r raw) Close() error                      { return r.tcp.Close() }
func (r raw) LocalAddr() net.Addr               { return r.tcp.LocalAddr() }
func (r raw) RemoteAddr() net.Addr              { return r.tcp.RemoteAddr() }
func (r raw) SetDeadline(t time.Time) error     { return r.tcp.SetDeadline(t) }
func (r raw) SetReadDeadline(t time.Time) error { return r.tcp.SetReadDeadline(t) }
func (r raw) SetWriteDeadline(t time.Time) error {
	return r.tcp.SetWriteDeadline(t)
}

// TestOverTLS: the same through a TLS connection under Caddy's wrappers, half-close included.
func TestOverTLS(t *testing.T) {
	h := forwarding(t, loopback(t, answering), nil)
	ours, theirs := tcpPair(t)
	server := tls.Server(layer4.WrapConnection(ours, nil, zap.NewNop()), &tls.Config{Certificates: []tls.Certificate{certificate(t)}})
	client := tls.Client(theirs, &tls.Config{InsecureSkipVerify: true})
	var shaken sync.WaitGroup
	shaken.Go(func() {
		if err := client.Handshake(); err != nil {
			t.Error(err)
		}
	})
	if err := server.Handshake(); err != nil {
		t.Fatal(err)
	}
	shaken.Wait()
	c := attach(t, h, server, client)
	c.send(request)
	c.expect(answer)
	for _, b := range ping {
		c.send([]byte{b})
	}
	c.expect(pong)
	large := string(make([]byte, 60000))
	c.send(frame(0x10, 1, large))
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.expect(frame(0x10, 2, large))
	c.expectEnd()
	closedFor(t, h, reasonEOF, 1)
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
