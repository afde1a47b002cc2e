package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// dialArgs are the arguments of the commands that dial: ping, send and bench.
type dialArgs struct {
	addr       string // host:port
	timeout    time.Duration
	tls        bool // each of the three below says so, too
	insecure   bool
	ca         string // a file
	serverName string

	// dial is the dial below TLS. nil: TCP.
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// dialer connects as the arguments say.
type dialer struct {
	addr    string
	timeout time.Duration
	tls     *tls.Config // nil: none
	tcp     func(ctx context.Context, network, addr string) (net.Conn, error)
}

// newDialer checks the arguments. The error says which is wrong, and what would be right.
func newDialer(a dialArgs) (*dialer, error) {
	host, port, err := net.SplitHostPort(a.addr)
	if err != nil || port == "" {
		return nil, fmt.Errorf("address %q is not host:port: give one such as 10.0.0.1:7450 or [2001:db8::1]:7450", a.addr)
	}
	if n, err := strconv.Atoi(port); err == nil && (n < 1 || n > 65535) { // names, such as https, are known to the system
		return nil, fmt.Errorf("port %d of %q is out of range: give 1 to 65535", n, a.addr)
	}
	if a.timeout <= 0 {
		return nil, fmt.Errorf("--timeout %v: give a time such as 5s", a.timeout)
	}
	d := &dialer{addr: a.addr, timeout: a.timeout, tcp: a.dial}
	if d.tcp == nil {
		d.tcp = new(net.Dialer).DialContext
	}
	if host == "" { // as for net.Dial
		host = "localhost"
	}
	d.tls, err = a.tlsConfig(host)
	return d, err
}

func (a dialArgs) wantsTLS() bool {
	return a.tls || a.insecure || a.ca != "" || a.serverName != ""
}

// tlsConfig is nil where TLS was not asked for.
func (a dialArgs) tlsConfig(host string) (*tls.Config, error) {
	if !a.wantsTLS() {
		return nil, nil
	}
	cfg := &tls.Config{ServerName: host, InsecureSkipVerify: a.insecure}
	if a.serverName != "" {
		cfg.ServerName = a.serverName
	}
	if a.ca == "" {
		return cfg, nil
	}
	if a.insecure {
		return nil, errors.New("--ca says whom to trust, and --insecure to trust anyone: leave out one of them")
	}
	pem, err := os.ReadFile(a.ca)
	if err != nil {
		return nil, fmt.Errorf("--ca: %w", err)
	}
	cfg.RootCAs = x509.NewCertPool()
	if !cfg.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--ca: there is no certificate in %s: want one in PEM, which begins with -----BEGIN CERTIFICATE-----", a.ca)
	}
	return cfg, nil
}

// perhapsTLS is what may be wrong where the peer closes the connection without a word.
func (a dialArgs) perhapsTLS() string {
	if a.wantsTLS() {
		return ""
	}
	return " (perhaps it speaks TLS there: then add --tls)"
}

// connect dials, TLS handshake included, within the timeout.
func (d *dialer) connect(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	nc, err := d.tcp(ctx, "tcp", d.addr)
	if err != nil {
		return nil, explain(err)
	}
	if d.tls == nil {
		return nc, nil
	}
	secure := tls.Client(nc, d.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		nc.Close()
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
			err = errNoHandshake
		}
		return nil, explain(fmt.Errorf("TLS handshake with %s: %w", d.addr, err))
	}
	return secure, nil
}

var errNoHandshake = errors.New("the peer closed the connection (perhaps it does not speak TLS there: then leave out --tls)")

// explain adds to an error of the network what may be done about it.
func explain(err error) error {
	var (
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		notTLS   tls.RecordHeaderError
		reject   *wire.RejectError
	)
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("%w (give its CA's certificate with --ca FILE, or --insecure to trust anyone)", err)
	case errors.As(err, &hostname):
		return fmt.Errorf("%w (give the name that the certificate is for with --server-name)", err)
	case errors.As(err, &notTLS):
		return fmt.Errorf("%w (the peer does not speak TLS there: leave out --tls)", err)
	case errors.As(err, &reject) && reject.Reason == wire.ReasonMagic && reject.Offset == 0 && reject.Got == tlsAlert:
		return fmt.Errorf("%w (the peer speaks TLS there: add --tls)", err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w (no local port is free for this address: open fewer connections)", err)
	case errors.Is(err, syscall.EMFILE):
		return fmt.Errorf("%w (raise the limit with ulimit -n, or open fewer connections)", err)
	}
	return err
}

// tlsAlert is the first byte with which a TLS server answers what is no TLS (RFC 8446, section 5.1).
const tlsAlert = 0x15
