package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// kind is a sort of peer.
type kind struct {
	name  string
	fds   int         // descriptors it needs for each connection; 0: one
	frees func(*peer) // has it give back unused memory; nil: it has no garbage
	// command prepares its process. errMissing: it is not installed here.
	command func(site) (*exec.Cmd, error)
}

// site is what a peer is started with.
type site struct {
	caddy, dir, name string
	addr, backend    string
	cert             *certificate // nil: no TLS
}

// errMissing is wrapped where a peer can't be measured on this machine.
var errMissing = errors.New("left out")

var (
	direct     = kind{name: "direct", command: func(s site) (*exec.Cmd, error) { return exec.Command(s.caddy, "gopr", "echo", "--listen", s.addr), nil }}
	caddyProxy = kind{name: "caddy-l4", fds: 2, frees: byAdmin, command: func(s site) (*exec.Cmd, error) { return s.gateway("proxy " + s.backend) }}
	session    = kind{name: "session", fds: 2, frees: byAdmin, command: func(s site) (*exec.Cmd, error) { return s.gateway("gopr {\nupstream " + s.backend + "\n}") }}
	request    = kind{name: "request", frees: byAdmin, command: func(s site) (*exec.Cmd, error) {
		return s.gateway("gopr {\nupstream " + s.backend + " {\npooling request\nconnections 2 2\nmax_inflight 65536\nmax_waiting 100000\n}\n}")
	}}
	terminator = kind{name: "gateway", frees: byAdmin, command: func(s site) (*exec.Cmd, error) { return s.gateway("gopr {\nrespond echo\n}") }}
	haproxy    = kind{name: "haproxy", fds: 2, command: site.haproxy}
	nginx      = kind{name: "nginx", fds: 2, command: site.nginx}
	splice     = kind{name: "go splice", fds: 6, frees: bySignal, command: func(s site) (*exec.Cmd, error) { return s.self("splice") }}
	goServer   = kind{name: "go", frees: bySignal, command: func(s site) (*exec.Cmd, error) { return s.self("pong") }}
	cServer    = kind{name: "c", command: site.c}
	gnetServer = kind{name: "gnet", frees: bySignal, command: func(s site) (*exec.Cmd, error) { return s.framework("gnet") }}
	zinxServer = kind{name: "zinx", frees: bySignal, command: func(s site) (*exec.Cmd, error) { return s.framework("zinx") }}
)

// start starts the suite's peers, and the backend that they share. What is not installed is left out, and said.
func (s *suite) start(ctx context.Context, o options, dir string, f *fleet) (peers []*peer, err error) {
	var cert *certificate
	if s.secure {
		if cert, err = newCertificate(dir); err != nil {
			return nil, err
		}
	}
	backend, err := direct.start(ctx, o, dir, "", nil, f)
	if err != nil {
		return nil, err
	}
	for _, k := range s.kinds {
		if !k.asked(o) {
			continue
		}
		if k.name == direct.name {
			peers = append(peers, backend)
			continue
		}
		p, err := k.start(ctx, o, dir, backend.addr, cert, f)
		switch {
		case errors.Is(err, errMissing):
			fmt.Fprintf(os.Stderr, "%s: %v\n", k.name, err)
		case err != nil:
			return nil, err
		default:
			peers = append(peers, p)
		}
	}
	return peers, nil
}

// asked says whether the peer is to be measured.
func (k kind) asked(o options) bool {
	return o.peers == "" || slices.Contains(strings.Split(o.peers, ","), k.name)
}

// start starts one peer, on an address of its own.
func (k kind) start(ctx context.Context, o options, dir, backend string, cert *certificate, f *fleet) (*peer, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	s := site{caddy: o.caddy, dir: dir, name: strings.ReplaceAll(k.name, " ", "-"), addr: addr, backend: backend, cert: cert}
	cmd, err := k.command(s)
	if err != nil {
		return nil, err
	}
	p, err := f.launch(ctx, k.name, addr, dir, cmd)
	if err != nil {
		return nil, err
	}
	p.frees, p.control = k.frees, s.control()
	return p, nil
}

// file writes a file for a peer, and returns its path.
func (s site) file(suffix, text string) (string, error) {
	path := filepath.Join(s.dir, s.name+suffix)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// control is the socket of a Caddy's admin endpoint.
func (s site) control() string { return filepath.Join(s.dir, s.name+".sock") }

// gateway is Caddy with one layer4 route.
func (s site) gateway(route string) (*exec.Cmd, error) {
	global, sites := "admin unix/"+s.control()+"\npersist_config off\nlog {\nlevel ERROR\n}\nauto_https off\n", ""
	if s.cert != nil {
		route = "tls {\nconnection_policy {\ndefault_sni localhost\n}\n}\n" + route
		holder, err := freeAddr()
		if err != nil {
			return nil, err
		}
		// A site is how a Caddyfile says where a certificate is.
		sites = fmt.Sprintf("https://localhost:%s {\nbind 127.0.0.1\ntls %s %s\n}\n", holder[strings.LastIndex(holder, ":")+1:], s.cert.chain, s.cert.key)
	}
	path, err := s.file(".caddyfile", fmt.Sprintf("{\n%slayer4 {\n%s {\nroute {\n%s\n}\n}\n}\n}\n%s", global, s.addr, route, sites))
	return exec.Command(s.caddy, "run", "--adapter", "caddyfile", "--config", path), err
}

func (s site) haproxy() (*exec.Cmd, error) {
	binary, err := exec.LookPath("haproxy")
	if err != nil {
		return nil, fmt.Errorf("%w: the Debian package haproxy is not installed", errMissing)
	}
	bind := "bind " + s.addr
	if s.cert != nil {
		bind += " ssl crt " + s.cert.both
	}
	path, err := s.file(".cfg", fmt.Sprintf(`global
 nbthread 1
 maxconn 9990
defaults
 mode tcp
 timeout connect 5s
 timeout client 10m
 timeout server 10m
listen relay
 %s
 server backend %s
`, bind, s.backend))
	return exec.Command(binary, "-db", "-f", path), err
}

func (s site) nginx() (*exec.Cmd, error) {
	binary, err := exec.LookPath("nginx")
	if err != nil {
		binary = "/usr/sbin/nginx"
	}
	const module = "/usr/lib/nginx/modules/ngx_stream_module.so"
	for _, f := range []string{binary, module} {
		if _, err := os.Stat(f); err != nil {
			return nil, fmt.Errorf("%w: the Debian packages nginx and libnginx-mod-stream are not installed", errMissing)
		}
	}
	listen := s.addr
	if s.cert != nil {
		listen += fmt.Sprintf(" ssl;\n ssl_certificate %s;\n ssl_certificate_key %s", s.cert.chain, s.cert.key)
	}
	path, err := s.file(".conf", fmt.Sprintf(`load_module %s;
daemon off;
worker_processes 1;
master_process off;
pid %s/nginx.pid;
error_log stderr error;
events { worker_connections 20000; }
stream {
 access_log off;
 tcp_nodelay on;
 proxy_timeout 10m;
 server {
  listen %s;
  proxy_pass %s;
 }
}
`, module, s.dir, listen, s.backend))
	return exec.Command(binary, "-p", s.dir, "-c", path), err
}

// self is a peer that is part of this program.
func (s site) self(which string) (*exec.Cmd, error) {
	self, err := os.Executable()
	return exec.Command(self, "-serve", which, "-listen", s.addr, "-backend", s.backend), err
}

//go:embed pong/pong.c
var pongC string

func (s site) c() (*exec.Cmd, error) {
	source, err := s.file(".c", pongC)
	if err != nil {
		return nil, err
	}
	binary := filepath.Join(s.dir, "pong")
	if out, err := exec.Command("cc", "-O2", "-o", binary, source).CombinedOutput(); errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("%w: there is no C compiler", errMissing)
	} else if err != nil {
		return nil, fmt.Errorf("cc: %w\n%s", err, out)
	}
	return exec.Command(binary, s.addr), nil
}

// framework is a server made with a Go framework, from a module of its own: nobody who uses the gateway is to download it.
func (s site) framework(which string) (*exec.Cmd, error) {
	binary := filepath.Join(s.dir, "frameworks")
	if _, err := os.Stat(binary); err != nil {
		build := exec.Command("go", "build", "-o", binary, ".")
		build.Dir = "bench/peers"
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%w: bench/peers does not build: %s", errMissing, strings.TrimSpace(string(out)))
		}
	}
	return exec.Command(binary, which, s.addr), nil
}
