package upstream

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

// secured is a group's TLS: its settings, and what was read of their files.
type secured struct {
	settings TLS
	logger   *slog.Logger

	mu     sync.Mutex // guards all below; files are read under it, so that of many dials one reads them
	config *tls.Config
	files  []version // as they were when config was read
	failed []version // as they were when they could not be used
}

// version is what tells a file that has changed.
type version struct {
	size int64
	at   time.Time
}

// secure returns what links are secured with; nil: nothing.
func secure(c *Config) (*secured, error) {
	if c.TLS == nil {
		return nil, nil
	}
	s := &secured{settings: *c.TLS, logger: c.Logger}
	files := s.versions()
	config, err := s.settings.read()
	if err != nil {
		return nil, err
	}
	s.config, s.files = config, files
	return s, nil
}

// versions looks at the files. One that is not there has the zero version.
func (s *secured) versions() (all []version) {
	for _, name := range append(slices.Clone(s.settings.CA), s.settings.Cert, s.settings.Key) {
		var v version
		if name != "" {
			if info, err := os.Stat(name); err == nil {
				v = version{info.Size(), info.ModTime()}
			}
		}
		all = append(all, v)
	}
	return all
}

// current returns what the next handshake goes by. It reads the files again if they have changed.
func (s *secured) current() *tls.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	files := s.versions()
	if slices.Equal(files, s.files) {
		return s.config
	}
	config, err := s.settings.read()
	if err != nil { // they may be half written
		if !slices.Equal(files, s.failed) {
			s.failed = files
			s.logger.Warn("changed tls files can't be used, those read before still are", "error", err)
		}
		return s.config
	}
	s.config, s.files, s.failed = config, files, nil
	s.logger.Info("tls files read again")
	return s.config
}

// handshake secures a connection to a backend. It closes nc when it fails.
func (s *secured) handshake(ctx context.Context, b *backend, nc net.Conn) (net.Conn, error) {
	config := s.current()
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName = serverName(b)
	}
	c := tls.Client(nc, config)
	if err := c.HandshakeContext(ctx); err != nil {
		_ = nc.Close()
		return nil, &handshakeError{err}
	}
	return c, nil
}
