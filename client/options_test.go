package client

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/keepalive"
)

func TestNewRefuses(t *testing.T) {
	dial := func(context.Context, string, string) (net.Conn, error) { return nil, nil }
	tests := []struct {
		addr string
		opt  Options
		want string
	}{
		{"gateway", Options{}, `address "gateway" is not host:port: give one such as 10.0.0.1:7450 or [2001:db8::1]:7450`},
		{":7450", Options{}, `address ":7450" is not host:port: give one such as 10.0.0.1:7450 or [2001:db8::1]:7450`},
		{"gateway:", Options{}, `address "gateway:" is not host:port: give one such as 10.0.0.1:7450 or [2001:db8::1]:7450`},
		{"2001:db8::1:7450", Options{}, `address "2001:db8::1:7450" is not host:port: give one such as 10.0.0.1:7450 or [2001:db8::1]:7450`},
		{"gateway:70000", Options{}, `port 70000 of "gateway:70000" is out of range: give 1 to 65535`},
		{"gateway:0", Options{}, `port 0 of "gateway:0" is out of range: give 1 to 65535`},
		{"a:1", Options{DialTimeout: -1}, "dial timeout -1ns is negative: give a time such as 5s, or 0 for 5s"},
		{"a:1", Options{WriteTimeout: -time.Second}, "write timeout -1s is negative: give a time such as 10s, or 0 for 10s"},
		{"a:1", Options{Pending: -1}, "-1 pending bytes are less than none: give a number such as 1048576, or 0 for that"},
		{"a:1", Options{MaxInflight: -1}, "-1 requests in flight are less than none: give a number such as 256, or 0 for that"},
		{"a:1", Options{MaxPayload: -1}, "maximum payload of -1 bytes: want 1 to 65535, or 0 for 65535"},
		{"a:1", Options{MaxPayload: 65536}, "maximum payload of 65536 bytes: the length field of gopr says at most 65535"},
		{"a:1", Options{Dial: dial, LocalAddr: netip.MustParseAddr("10.0.0.5")}, "a local address 10.0.0.5 and a Dial of one's own: the address is for the default Dial, so leave one of them out"},
		{"a:1", Options{Heartbeat: keepalive.Heartbeat{Timeout: -1}}, "heartbeat timeout -1ns is negative: give a time such as 15s, or 0 for half the interval"},
		{"a:1", Options{TCPKeepalive: keepalive.TCP{Count: -1}}, "tcp keepalive count -1 is out of range: give 1 to 127, or 0 for 9"},
		{"a:1", Options{Reconnect: Reconnect{Factor: 0.5}}, "reconnect factor 0.5 is below 1, so waits would shrink: give a factor such as 1.5, or 1 for even waits"},
	}
	for _, tt := range tests {
		c, err := New(tt.addr, tt.opt)
		if c != nil || err == nil || err.Error() != tt.want {
			t.Errorf("New(%q, %+v): got error\n%v, want\n%s", tt.addr, tt.opt, err, tt.want)
		}
	}
}

func TestNewAccepts(t *testing.T) {
	dial := func(context.Context, string, string) (net.Conn, error) { return nil, nil }
	tests := []struct {
		addr string
		opt  Options
	}{
		{"gateway:7450", Options{}},
		{"[2001:db8::1]:7450", Options{}},
		{"gateway:gopr", Options{}}, // the system may know that name
		{"any text", Options{Dial: dial}},
		{"a:1", Options{Heartbeat: keepalive.Heartbeat{Interval: -1}, FrameTimeout: -1}},
		{"a:1", Options{MaxPayload: 1, Pending: 1, MaxInflight: 1}},
	}
	for _, tt := range tests {
		c, err := New(tt.addr, tt.opt)
		if err != nil {
			t.Errorf("New(%q, %+v): %v", tt.addr, tt.opt, err)
			continue
		}
		c.Close()
	}
}

func TestOptionsDefaults(t *testing.T) {
	c, err := New("gateway:7450", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	o := c.opt
	for _, d := range []struct {
		name      string
		got, want any
	}{
		{"DialTimeout", o.DialTimeout, 5 * time.Second},
		{"FrameTimeout", o.FrameTimeout, 10 * time.Second},
		{"WriteTimeout", o.WriteTimeout, 10 * time.Second},
		{"Pending", o.Pending, 1 << 20},
		{"MaxInflight", o.MaxInflight, 256},
		{"MaxPayload", o.MaxPayload, 65535},
		{"Heartbeat", o.Heartbeat, keepalive.Heartbeat{Interval: 30 * time.Second, Timeout: 15 * time.Second, Jitter: 0.1}},
		{"Reconnect", o.Reconnect, Reconnect{}.WithDefaults()},
		{"the connection's heartbeat", *c.conn.Heartbeat, o.Heartbeat},
		{"the connection's limits", *c.conn.Limits, keepalive.Limits{Frame: 10 * time.Second}},
		{"the connection's bound", c.conn.Transport.High, 1 << 20},
		{"the connection's write timeout", c.conn.Transport.WriteTimeout, 10 * time.Second},
	} {
		if d.got != d.want {
			t.Errorf("%s: %v, want %v", d.name, d.got, d.want)
		}
	}
}

func TestHeartbeatHalfSet(t *testing.T) {
	for _, tt := range []struct{ set, want keepalive.Heartbeat }{
		{keepalive.Heartbeat{Interval: 10 * time.Second}, keepalive.Heartbeat{Interval: 10 * time.Second, Timeout: 5 * time.Second, Jitter: 0.1}},
		{keepalive.Heartbeat{Timeout: 3 * time.Second}, keepalive.Heartbeat{Interval: 30 * time.Second, Timeout: 3 * time.Second, Jitter: 0.1}},
		{keepalive.Heartbeat{Jitter: -1}, keepalive.Heartbeat{Interval: 30 * time.Second, Timeout: 15 * time.Second, Jitter: -1}},
	} {
		if got := (Options{Heartbeat: tt.set}).withDefaults().Heartbeat; got != tt.want {
			t.Errorf("%+v: got %+v, want %+v", tt.set, got, tt.want)
		}
	}
}

func TestTLSServerName(t *testing.T) {
	for _, tt := range []struct{ set, addr, want string }{
		{"", "gateway.example.com:7451", "gateway.example.com"},
		{"", "[2001:db8::1]:7451", "2001:db8::1"},
		{"", "any text", "any text"},
		{"other.example.com", "10.0.0.1:7451", "other.example.com"},
	} {
		cfg := &tls.Config{ServerName: tt.set}
		if got := tlsConfig(cfg, tt.addr).ServerName; got != tt.want {
			t.Errorf("%q and %s: got %q, want %q", tt.set, tt.addr, got, tt.want)
		}
		if cfg.ServerName != tt.set {
			t.Error("the caller's configuration was changed")
		}
	}
	if tlsConfig(nil, "a:1") != nil {
		t.Error("TLS by itself")
	}
}
