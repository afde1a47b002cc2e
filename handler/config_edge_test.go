package handler

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-gopr/caddy-gopr/upstream"
)

const edgeExample = `gopr devices {
	upstream 10.0.0.1:9000 {
		local_address 10.0.0.5
		proxy_protocol v2
		tls {
			server_name backend.example.com
			ca /etc/caddy/a.crt {env.GOPR_TEST_DIR}/b.crt
			client_auth {env.GOPR_TEST_DIR}/c.crt {env.GOPR_TEST_DIR}/c.key
		}
	}
	route cmd 0x10 {
		upstream 10.0.0.2:9000 {
			tls
		}
	}
	route cmd 0x20 {
		upstream 10.0.0.3:9000 {
			tls {
				insecure_skip_verify
			}
		}
	}
}`

// TestEdge: Caddyfile, JSON, and what it comes to; placeholders are filled in when the configuration is loaded, and not before.
func TestEdge(t *testing.T) {
	h := new(Handler)
	if err := h.UnmarshalCaddyfile(caddyfile.NewTestDispenser(edgeExample)); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(text), `"{env.GOPR_TEST_DIR}/b.crt"`)
	back := new(Handler)
	if err := caddy.StrictUnmarshalJSON(text, back); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOPR_TEST_DIR", "/run/certs")
	if err := back.provisionEdge(); err != nil {
		t.Fatal(err)
	}
	s, err := back.compile()
	if err != nil {
		t.Fatal(err)
	}
	want := []*upstream.TLS{
		{ServerName: "backend.example.com", CA: []string{"/etc/caddy/a.crt", "/run/certs/b.crt"}, Cert: "/run/certs/c.crt", Key: "/run/certs/c.key"},
		{},
		{InsecureSkipVerify: true},
	}
	for i, to := range s.targets() {
		if !reflect.DeepEqual(to.cfg.TLS, want[i]) {
			t.Errorf("%s: got %+v\nwant %+v", to.name, to.cfg.TLS, want[i])
		}
	}
	if s.upstream.cfg.LocalAddress != "10.0.0.5" {
		t.Errorf("local_address is %q", s.upstream.cfg.LocalAddress)
	}
	if cfg := s.upstream.cfg; cfg.ProxyProtocol != "v2" || cfg.WithDefaults().MinLinks > 0 {
		t.Errorf("proxy_protocol is %q, with %d warm links", cfg.ProxyProtocol, cfg.WithDefaults().MinLinks)
	}
	before := s.upstream.key
	t.Setenv("GOPR_TEST_DIR", "/run/other")
	again := new(Handler)
	if err := caddy.StrictUnmarshalJSON(text, again); err != nil {
		t.Fatal(err)
	}
	if err := again.provisionEdge(); err != nil {
		t.Fatal(err)
	}
	if s := compiled(t, again); s.upstream.key == before {
		t.Error("other values of the placeholders make no other group")
	}
}

// TestEdgeMistakes: each says what would be right.
func TestEdgeMistakes(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"a certificate alone", "tls {\nclient_auth c.crt\n}", "client_auth has 1 arguments: write it as `client_auth /etc/caddy/gateway.crt /etc/caddy/gateway.key`"},
		{"an argument", "tls backend.example.com", "tls takes a block, not \"backend.example.com\""},
		{"insecure and more", "tls {\ninsecure_skip_verify yes\n}", "insecure_skip_verify takes no arguments and no block: write it as `insecure_skip_verify`"},
		{"unchecked", "tls {\nca a.crt\ninsecure_skip_verify\n}", "upstream: tls has both ca and insecure_skip_verify"},
		{"another option", "tls {\nalpn gopr\n}", `tls has no option "alpn"; it has ca, client_auth, insecure_skip_verify, server_name`},
		{"local_address", "local_address eth0", `upstream: local_address "eth0" is no address of this host: give an IP address without a port, such as 10.0.0.5`},
		{"proxy_protocol", "proxy_protocol v1", `upstream: unknown proxy_protocol "v1": v2`},
		{"proxy_protocol of many", "pooling request\nproxy_protocol v2", "upstream: proxy_protocol tells of one client, and links under pooling request are many clients': take pooling session, or leave it out"},
		{"proxy_protocol of none", "connections 1\nproxy_protocol v2", "upstream: connections min 1 is for clients that are not there yet, and proxy_protocol tells of the client: set min to 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := new(Handler).UnmarshalCaddyfile(caddyfile.NewTestDispenser("gopr {\nupstream 10.0.0.1:9000 {\n" + tt.in + "\n}\n}"))
			if err == nil {
				t.Fatal("no error")
			}
			contains(t, err.Error(), tt.want)
		})
	}
	t.Run("a placeholder without a value", func(t *testing.T) {
		h := &Handler{Upstream: &Upstream{Edge: Edge{TLS: &UpstreamTLS{ServerName: "{env.GOPR_TEST_NOTHING}"}}}}
		err := h.provisionEdge()
		if err == nil {
			t.Fatal("no error")
		}
		contains(t, err.Error(), `upstream: tls: "{env.GOPR_TEST_NOTHING}": `)
	})
	t.Run("no such file", func(t *testing.T) {
		none := filepath.Join(t.TempDir(), "ca.crt")
		h := &Handler{Upstream: &Upstream{Backends: []string{"10.0.0.1:9000"}, Edge: Edge{TLS: &UpstreamTLS{CA: []string{none}}}}}
		err := compiled(t, h).checkEdge()
		if err == nil {
			t.Fatal("no error")
		}
		contains(t, err.Error(), `gopr handler "default": upstream: tls ca: open `+none)
		if err := os.WriteFile(none, []byte("no certificate"), 0o600); err != nil {
			t.Fatal(err)
		}
		contains(t, compiled(t, h).checkEdge().Error(), none+" has no certificate: give a PEM file")
	})
}
