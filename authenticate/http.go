package authenticate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/internal/directive"
)

func init() {
	caddy.RegisterModule(new(HTTP))
}

// HTTP asks a service: it posts what a client shows, as JSON. An answer of 2xx means yes, 401 and 403 mean no; anything else, and no answer in time, is a failure.
type HTTP struct {
	// What is asked, http or https. Placeholders such as `{env.AUTH_URL}` are replaced when the configuration is loaded, here and below.
	URL string `json:"url,omitempty"`
	// How long it may take, connecting included. Default: 3s.
	Timeout caddy.Duration `json:"timeout,omitempty"`
	// How long a yes is remembered. 0: not at all. Default: 1m.
	Cache *caddy.Duration `json:"cache,omitempty"`
	// How long a no is remembered. 0: not at all. Default: 5s.
	CacheRefused *caddy.Duration `json:"cache_refused,omitempty"`
	// What a failure means: `refuse`, the client is told to come back; `allow`, it may come in. Default: refuse.
	OnFailure string `json:"on_failure,omitempty"`
	// Headers of the requests, such as `Authorization`.
	Header map[string]string `json:"header,omitempty"`
	// How an https URL is reached. Default: as any other program would.
	TLS *HTTPTLS `json:"tls,omitempty"`

	refusals
	client *http.Client
	found  *verdicts
}

const (
	defaultHTTPTimeout      = 3 * time.Second
	defaultHTTPCache        = time.Minute
	defaultHTTPCacheRefused = 5 * time.Second

	// maxHTTPConns is how many questions are asked at once; more wait, within their timeout.
	maxHTTPConns = 64
)

// CaddyModule returns the Caddy module information.
func (*HTTP) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: gateway.Authenticators + ".http", New: func() caddy.Module { return new(HTTP) }}
}

// UnmarshalCaddyfile sets up the module from Caddyfile tokens. Syntax:
//
//	http <url> {
//		timeout       <duration>
//		cache         <duration>
//		cache_refused <duration>
//		on_failure    refuse|allow
//		header        <name> <value>
//		tls           { … }
//	}
func (h *HTTP) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if err := oneArg(d, "http", "https://auth.example.com/hello", &h.URL); err != nil {
		return err
	}
	return directive.Block(d, "http", directive.Options{
		"timeout":       directive.One("3s", directive.Duration(&h.Timeout)),
		"cache":         directive.One("1m", directive.OptionalDuration(&h.Cache)),
		"cache_refused": directive.One("5s", directive.OptionalDuration(&h.CacheRefused)),
		"on_failure":    directive.One("refuse", directive.String(&h.OnFailure)),
		"header":        h.unmarshalHeader,
		"tls":           h.unmarshalTLS,
	}, "header")
}

func (h *HTTP) unmarshalHeader(d *caddyfile.Dispenser) error {
	var name, value string
	if err := directive.Args(`Authorization "Bearer {env.AUTH_TOKEN}"`, 2, directive.String(&name), directive.String(&value))(d); err != nil {
		return err
	}
	if _, twice := h.Header[name]; twice {
		return d.Errf("header %s is given twice: once is enough", name)
	}
	if h.Header == nil {
		h.Header = make(map[string]string)
	}
	h.Header[name] = value
	return nil
}

// Provision sets the module up. The service is not asked yet.
func (h *HTTP) Provision(ctx caddy.Context) error {
	h.logger, h.found = ctx.Logger(), newVerdicts(maxVerdicts)
	if err := h.replace(); err != nil {
		return fmt.Errorf("authenticate http: %w", err)
	}
	if err := h.check(); err != nil {
		return fmt.Errorf("authenticate http: %w", err)
	}
	if h.Timeout == 0 {
		h.Timeout = caddy.Duration(defaultHTTPTimeout)
	}
	t := &http.Transport{MaxConnsPerHost: maxHTTPConns, MaxIdleConnsPerHost: maxHTTPConns, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true}
	if h.TLS != nil {
		var err error
		if t.TLSClientConfig, err = h.TLS.read(); err != nil {
			return fmt.Errorf("authenticate http: %w", err)
		}
	}
	h.client = &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return nil
}

// Cleanup closes connections that nobody uses. Questions that are under way are answered.
func (h *HTTP) Cleanup() error {
	if h.client != nil {
		h.client.CloseIdleConnections()
	}
	return nil
}

// replace fills in placeholders.
func (h *HTTP) replace() (err error) {
	if h.URL, err = replaced(h.URL); err != nil {
		return err
	}
	for name, value := range h.Header {
		if h.Header[name], err = replaced(value); err != nil {
			return err
		}
	}
	return nil
}

// check says what is wrong with the settings.
func (h *HTTP) check() error {
	u, err := url.Parse(h.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%q is no URL that can be asked: write it as `authenticate http https://auth.example.com/hello`", h.URL)
	case h.OnFailure != "" && h.OnFailure != "refuse" && h.OnFailure != "allow":
		return fmt.Errorf("unknown on_failure %q: refuse or allow", h.OnFailure)
	case h.Timeout < 0 || durationOr(h.Cache, 0) < 0 || durationOr(h.CacheRefused, 0) < 0:
		return errors.New("a time is negative: give one such as `timeout 3s`")
	case u.Scheme == "http" && h.TLS != nil:
		return fmt.Errorf("%s is not asked over TLS: remove `tls`, or write https", h.URL)
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		h.logger.Warn("credentials go over the network as they are: ask an https URL", zap.String("host", u.Host))
	}
	return nil
}

// Authenticate implements gateway.Authenticator.
func (h *HTTP) Authenticate(ctx context.Context, c gateway.Credentials) error {
	asked := questionOf(c)
	q := h.found.question(c.ClientID, c.Secret, []byte(asked.host()), []byte(asked.certificate()))
	ok, known := h.found.find(q, time.Now())
	if !known {
		var err error
		if ok, err = h.ask(ctx, asked); err != nil {
			return h.failed(ctx, c, err)
		}
		keep := durationOr(h.Cache, defaultHTTPCache)
		if !ok {
			keep = durationOr(h.CacheRefused, defaultHTTPCacheRefused)
		}
		now := time.Now()
		h.found.note(q, ok, now, now.Add(keep))
	}
	if !ok {
		return h.note(c, "the service says no")
	}
	return nil
}

// failed says what it means that nobody knows.
func (h *HTTP) failed(ctx context.Context, c gateway.Credentials, err error) error {
	if ctx.Err() != nil { // the client has gone, or waits no longer
		return context.Cause(ctx)
	}
	if h.OnFailure == "allow" {
		h.log(c, "allowed", "client let in without being asked for: the service fails", zap.Error(err))
		return nil
	}
	h.log(c, "failure", "client told to come back: the service fails", zap.Error(err))
	return err
}

// Interface guards.
var (
	_ caddy.Provisioner     = (*HTTP)(nil)
	_ caddy.CleanerUpper    = (*HTTP)(nil)
	_ caddyfile.Unmarshaler = (*HTTP)(nil)
	_ gateway.Authenticator = (*HTTP)(nil)
)
