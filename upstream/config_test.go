package upstream

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
	"github.com/caddy-gopr/caddy-gopr/keepalive"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

func TestConfigValidate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Config)
		want   string // what the error says; "": none
	}{
		{"the smallest", func(*Config) {}, ""},
		{"several", func(c *Config) {
			c.Backends = []string{"10.0.0.1:9000", "[::1]:9000", "backend:http", "unix//run/b.sock"}
		}, ""},
		{"no backend", func(c *Config) { c.Backends = nil }, "name at least one"},
		{"no port", func(c *Config) { c.Backends = []string{"10.0.0.1"} }, `"10.0.0.1" is no address: write it as host:port`},
		{"no host", func(c *Config) { c.Backends = []string{":9000"} }, `":9000" has no host: write it as host:port, such as 127.0.0.1:9000`},
		{"port 0", func(c *Config) { c.Backends = []string{"a:0"} }, "a number from 1 to 65535"},
		{"port too large", func(c *Config) { c.Backends = []string{"a:65536"} }, "a number from 1 to 65535"},
		{"port that is none", func(c *Config) { c.Backends = []string{"a:nine"} }, "a number from 1 to 65535"},
		{"no socket", func(c *Config) { c.Backends = []string{"unix/"} }, "write it as unix//path/to/socket"},
		{"twice", func(c *Config) { c.Backends = []string{"a:1", "b:1", "a:1"} }, "a:1 is named twice"},
		{"policy", func(c *Config) { c.Policy = "best" }, `unknown policy "best": one of client_hash, first, health, ip_hash, least_conn, random, round_robin`},
		{"on_loss", func(c *Config) { c.OnLoss = "panic" }, `unknown on_loss "panic": keep or close`},
		{"max", func(c *Config) { c.MaxLinks = -1 }, "connections max -1 is negative"},
		{"min above max", func(c *Config) { c.MinLinks, c.MaxLinks = 3, 2 }, "connections min 3 is above max 2: give a min of 2 or less"},
		{"max 1 with the default min", func(c *Config) { c.MaxLinks = 1 }, ""},
		{"no spares", func(c *Config) { c.MinLinks, c.MaxLinks = -1, 1 }, ""},
		{"buffer", func(c *Config) { c.Buffer = -1 }, "buffer -1 is negative"},
		{"dial_timeout", func(c *Config) { c.DialTimeout = -1 }, "dial_timeout -1ns is negative"},
		{"write_timeout", func(c *Config) { c.WriteTimeout = -1 }, "write_timeout -1ns is negative"},
		{"no frame_timeout", func(c *Config) { c.FrameTimeout = -1 }, ""},
		{"heartbeat", func(c *Config) { c.Heartbeat = &keepalive.Heartbeat{Interval: time.Second, Timeout: -1} }, "heartbeat timeout -1ns is negative"},
		{"no heartbeat", func(c *Config) { c.Heartbeat = &keepalive.Heartbeat{Interval: -1, Timeout: -1} }, ""},
		{"heartbeat timeout alone", func(c *Config) { c.Heartbeat = &keepalive.Heartbeat{Timeout: time.Second} }, ""},
		{"tcp_keepalive", func(c *Config) { c.TCP.Count = -1 }, "tcp keepalive count -1"},
		{"reconnect", func(c *Config) { c.Reconnect.Factor = 0.5 }, "reconnect factor 0.5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Config{Backends: []string{"127.0.0.1:9000"}}
			tt.change(&c)
			err := c.Validate()
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v does not say %q", err, tt.want)
			}
			if g, err := NewGroup(c); err == nil {
				g.Close()
				t.Error("NewGroup takes it")
			}
		})
	}
}

func TestConfigDefaults(t *testing.T) {
	c := Config{Backends: []string{"a:1"}}.WithDefaults()
	for _, f := range []struct {
		name      string
		got, want any
	}{
		{"policy", c.Policy, RoundRobin},
		{"min", c.MinLinks, 1},
		{"max", c.MaxLinks, 0},
		{"dial_timeout", c.DialTimeout, 5 * time.Second},
		{"write_timeout", c.WriteTimeout, 10 * time.Second},
		{"frame_timeout", c.FrameTimeout, 10 * time.Second},
		{"reconnect", c.Reconnect, client.Reconnect{}.WithDefaults()},
		{"heartbeat", *c.Heartbeat, keepalive.Heartbeat{Interval: 30 * time.Second, Timeout: 15 * time.Second}},
		{"tcp_keepalive", c.TCP, keepalive.TCP{}.WithDefaults()},
		{"on_loss", c.OnLoss, Keep},
		{"buffer", c.Buffer, 256 << 10},
		{"format", c.Format, wire.GOPR},
	} {
		if !reflect.DeepEqual(f.got, f.want) {
			t.Errorf("%s is %v, not %v", f.name, f.got, f.want)
		}
	}
	if c.Logger == nil || c.Dial == nil {
		t.Error("no Logger or no Dial")
	}
}

// Defaults are filled in wherever somebody needs them; doing so twice changes nothing, and what was given stays as it is.
func TestConfigDefaultsTwice(t *testing.T) {
	for _, c := range []Config{
		{},
		{MinLinks: -1, FrameTimeout: -1, Heartbeat: &keepalive.Heartbeat{Interval: -1}, Reconnect: client.Reconnect{Jitter: -1, Attempts: -1}},
		{Heartbeat: &keepalive.Heartbeat{Timeout: time.Second}},
	} {
		before := c
		if c.Heartbeat != nil {
			hb := *c.Heartbeat
			before.Heartbeat = &hb
		}
		once := c.WithDefaults()
		twice := once.WithDefaults()
		once.Dial, twice.Dial = nil, nil // functions can't be compared
		if !reflect.DeepEqual(once, twice) {
			t.Errorf("once:\n%+v\ntwice:\n%+v", once, twice)
		}
		if !reflect.DeepEqual(c, before) {
			t.Errorf("%+v became %+v", before, c)
		}
	}
}

func TestSplitBackend(t *testing.T) {
	for _, tt := range []struct{ backend, network, addr string }{
		{"10.0.0.1:9000", "tcp", "10.0.0.1:9000"},
		{"[::1]:9000", "tcp", "[::1]:9000"},
		{"unix//run/b.sock", "unix", "/run/b.sock"},
		{"unix/b.sock", "unix", "b.sock"},
	} {
		network, addr, err := splitBackend(tt.backend)
		if network != tt.network || addr != tt.addr || err != nil {
			t.Errorf("%s: %s %s %v", tt.backend, network, addr, err)
		}
	}
}
