package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// A device is a client of the gateway. Its methods return errors, so that any goroutine may use it; one writes and one reads at a time.
type device struct {
	net.Conn
	forever bool   // wait for frames without limit, as a server does
	buf     []byte // read
	used    int    // of it
}

// dial connects a device for as long as the test lasts.
func dial(t testing.TB, addr string) *device {
	t.Helper()
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	return newDevice(t, nc)
}

// dialTLS connects a device over TLS. It trusts Caddy's own CA and nobody else. A Caddy that has just started may still be signing its certificate.
func (c *caddy) dialTLS(addr string) *device {
	c.t.Helper()
	var nc *tls.Conn
	eventually(c.t, "TLS with a certificate of Caddy's own CA", func() (ok bool) {
		conf, err := trusting(c.rootFile())
		if err != nil {
			return false
		}
		nc, err = tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", addr, conf)
		return err == nil
	})
	return newDevice(c.t, nc)
}

// rootFile is the certificate of Caddy's own CA.
func (c *caddy) rootFile() string {
	return filepath.Join(c.home, "caddy", "pki", "authorities", "local", "root.crt")
}

// trusting is the configuration of a client that trusts the CA in the file alone, and wants a certificate for localhost.
func trusting(file string) (*tls.Config, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate", file)
	}
	return &tls.Config{ServerName: "localhost", RootCAs: roots}, nil
}

// connect is dial for any goroutine. Who calls it closes the device.
func connect(addr string) (*device, error) {
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	return &device{Conn: nc}, nil
}

func newDevice(t testing.TB, nc net.Conn) *device {
	t.Cleanup(func() { _ = nc.Close() })
	return &device{Conn: nc}
}

var decoder = func() *wire.Decoder {
	d, err := wire.GOPR.NewDecoder(wire.Rules{})
	if err != nil {
		panic(err)
	}
	return d
}()

// request is the frame that asks for the payload's echo; answer is the answer to it.
func request(payload []byte) []byte {
	return wire.AppendFrame(nil, wire.CmdApp, wire.FlagReq, payload)
}

func answer(payload []byte) []byte { return wire.AppendFrame(nil, wire.CmdApp, wire.FlagRsp, payload) }

func ping(payload []byte) []byte { return wire.AppendFrame(nil, wire.CmdPing, wire.FlagReq, payload) }

func pong(payload []byte) []byte { return wire.AppendFrame(nil, wire.CmdPong, wire.FlagRsp, payload) }

// next returns the next frame. It is valid until the next call.
func (d *device) next() (f wire.Frame, err error) {
	if !d.forever {
		if err := d.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return f, err
		}
	}
	for {
		n, err := decoder.Next(d.buf[d.used:], &f)
		if err != nil {
			return f, err
		}
		if n > 0 {
			d.used += n
			return f, nil
		}
		d.buf = append(d.buf[:0], d.buf[d.used:]...)
		d.used = 0
		if cap(d.buf)-len(d.buf) < 16<<10 {
			d.buf = append(make([]byte, 0, 2*cap(d.buf)+32<<10), d.buf...)
		}
		n, err = d.Read(d.buf[len(d.buf):cap(d.buf)])
		d.buf = d.buf[:len(d.buf)+n]
		if n == 0 && err != nil {
			return f, err
		}
	}
}

// expect reads the frames that must come next, in this order.
func (d *device) expect(frames ...[]byte) error {
	for i, want := range frames {
		f, err := d.next()
		if err != nil {
			return fmt.Errorf("frame %d of %d: %w", i, len(frames), err)
		}
		if !bytes.Equal(f.Raw, want) {
			return fmt.Errorf("frame %d of %d is %.64x, want %.64x", i, len(frames), f.Raw, want)
		}
	}
	return nil
}

// send writes bytes as they are.
func (d *device) send(b []byte) error {
	if err := d.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := d.Write(b)
	return err
}

// ask sends a request and checks the answer.
func (d *device) ask(payload string) error {
	if err := d.send(request([]byte(payload))); err != nil {
		return err
	}
	return d.expect(answer([]byte(payload)))
}

// ping sends a ping and checks the pong.
func (d *device) ping(payload string) error {
	if err := d.send(ping([]byte(payload))); err != nil {
		return err
	}
	return d.expect(pong([]byte(payload)))
}

// ended waits until the other side has closed, and fails if it says anything more before.
func (d *device) ended() error {
	f, err := d.next()
	switch {
	case err == nil:
		return fmt.Errorf("another frame came: %.64x", f.Raw)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return nil
	default:
		return fmt.Errorf("it is not closed: %w", err)
	}
}

// refused connects, and fails the test if there is more to it than a reset, which may come at any time.
func refused(t testing.TB, addr string, says []byte) {
	t.Helper()
	d, err := connect(addr)
	if err != nil {
		return
	}
	defer func() { _ = d.Close() }()
	_ = d.send(says)
	check(t, d.SetReadDeadline(time.Now().Add(patience)))
	n, err := io.Copy(io.Discard, d)
	if n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes came to a client that is refused, and %v", n, err)
	}
}

// vanish closes the connection with a reset, as a crashed host does when it hears of it again.
func (d *device) vanish(t testing.TB) {
	t.Helper()
	if err := d.Conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	_ = d.Close()
}

// check fails the test if there was an error.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
