package client

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
)

// dialer is the default of Options.Dial.
func (o *Options) dialer() *net.Dialer {
	d := &net.Dialer{KeepAlive: -1} // dial sets what TCPKeepalive says
	if o.LocalAddr.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: o.LocalAddr.AsSlice(), Zone: o.LocalAddr.Zone()}
	}
	return d
}

// tlsConfig returns the configuration to use for connections to addr: one that says whom to verify.
func tlsConfig(cfg *tls.Config, addr string) *tls.Config {
	if cfg == nil || cfg.ServerName != "" {
		return cfg
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	cfg = cfg.Clone()
	cfg.ServerName = host
	return cfg
}

// dial opens one connection to the peer, within the dial timeout.
func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opt.DialTimeout)
	defer cancel()
	nc, err := c.opt.Dial(ctx, "tcp", c.addr)
	if err != nil {
		return nil, err
	}
	if tcp, ok := nc.(*net.TCPConn); ok {
		if err := c.opt.TCPKeepalive.Apply(tcp); err != nil { // the heartbeat is there without it
			c.opt.Logger.Warn("no TCP keepalive", "addr", c.addr, "error", err)
		}
	}
	if c.tls == nil {
		return nc, nil
	}
	secure := tls.Client(nc, c.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, fmt.Errorf("TLS handshake with %s: %w", c.addr, err)
	}
	return secure, nil
}
