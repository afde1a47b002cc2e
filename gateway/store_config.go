package gateway

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-gopr/caddy-gopr/store/redis"
)

// The kinds of stores.
const (
	StoreMemory = "memory"
	StoreSQLite = "sqlite"
	StoreRedis  = "redis"
)

// Store says where sessions, or messages, are kept.
type Store struct {
	// `memory`, which forgets with the process; `sqlite`, a file; or `redis`, which several gateways share. Default: `memory`.
	Kind string `json:"kind,omitempty"`
	// The file, for sqlite. Placeholders such as `{env.STATE_DIRECTORY}` are replaced when the configuration is loaded.
	Path string `json:"path,omitempty"`
	// Where the Redis is, such as `redis://10.0.0.9:6379/0`. Placeholders such as `{env.REDIS_URL}` are replaced when the configuration is loaded.
	URL string `json:"url,omitempty"`
}

const storeExample = "`store memory`, `store sqlite /var/lib/caddy/gopr.db` or `store redis redis://10.0.0.9:6379/0`"

// UnmarshalStore reads the option `store`. Syntax:
//
//	store memory | sqlite <path> | redis <url>
func UnmarshalStore(d *caddyfile.Dispenser, to **Store) error {
	args := d.RemainingArgs()
	s := new(Store)
	switch {
	case len(args) == 1 && args[0] == StoreMemory:
		s.Kind = args[0]
	case len(args) == 2 && args[0] == StoreSQLite:
		s.Kind, s.Path = args[0], args[1]
	case len(args) == 2 && args[0] == StoreRedis:
		s.Kind, s.URL = args[0], args[1]
	default:
		return d.Errf("store: %q is not understood: write it as %s", strings.Join(args, " "), storeExample)
	}
	if d.NextBlock(d.Nesting()) {
		return d.Errf("store takes no block: write it as %s", storeExample)
	}
	*to = s
	return nil
}

// Place is a store that a configuration names, with its placeholders replaced: equal for the same one.
type Place struct{ kind, at string }

// Shared says whether other gateways may use it, too.
func (p Place) Shared() bool { return p.kind == StoreRedis }

// Durable says whether what is kept there outlives the process.
func (p Place) Durable() bool { return p.kind != StoreMemory }

// String names the place for people. It has no password in it.
func (p Place) String() string {
	at := p.at
	if scheme, rest, ok := strings.Cut(at, "://"); ok && p.kind == StoreRedis {
		rest, _, _ = strings.Cut(rest, "?")
		host, path, _ := strings.Cut(rest, "/")
		at = scheme + "://" + host[strings.LastIndexByte(host, '@')+1:] + "/" + path
	}
	return strings.TrimSpace(p.kind + " " + at)
}

// place checks the store, and replaces its placeholders where the configuration is being loaded: who only adapts it may have another environment. A nil Store is the
// memory. Nothing is opened.
func (s *Store) place(loading bool) (Place, error) {
	if s == nil {
		return Place{kind: StoreMemory}, nil
	}
	replaced := func(v string) (string, error) {
		if !loading {
			return v, nil
		}
		return caddy.NewReplacer().ReplaceOrErr(v, true, true)
	}
	switch s.Kind {
	case "", StoreMemory:
		if s.Path != "" || s.URL != "" {
			return Place{}, errors.New("the memory has neither path nor URL: leave them out, or write the store as " + storeExample)
		}
		return Place{kind: StoreMemory}, nil
	case StoreSQLite:
		path, err := replaced(s.Path)
		switch {
		case s.URL != "":
			return Place{}, errors.New("sqlite has a path and no URL: write it as `store sqlite /var/lib/caddy/gopr.db`")
		case err != nil:
			return Place{}, fmt.Errorf("path of sqlite: %w", err)
		case path == "":
			return Place{}, errors.New("sqlite needs the path of its file: write it as `store sqlite /var/lib/caddy/gopr.db`")
		case strings.HasPrefix(path, ":memory:") || strings.HasPrefix(path, "file:"):
			return Place{}, fmt.Errorf("%q is no path: give the path of a file, as in `store sqlite /var/lib/caddy/gopr.db`, or take `store memory`", path)
		}
		path, err = filepath.Abs(path)
		return Place{StoreSQLite, path}, err
	case StoreRedis:
		at, err := replaced(s.URL)
		switch {
		case s.Path != "":
			return Place{}, errors.New("redis has a URL and no path: write it as `store redis redis://10.0.0.9:6379/0`")
		case err != nil:
			return Place{}, fmt.Errorf("URL of redis: %w", err)
		}
		return Place{StoreRedis, at}, checkRedis(at, loading)
	default:
		return Place{}, fmt.Errorf("unknown store %q: write it as %s", s.Kind, storeExample)
	}
}

// checkRedis says what is wrong with a URL, without saying the password in it. It connects to nobody.
func checkRedis(at string, loading bool) error {
	const example = "write it as `store redis redis://10.0.0.9:6379/0`"
	switch {
	case at == "":
		return errors.New("redis needs its URL: " + example)
	case !loading:
		return nil
	}
	r, err := redis.Open(at, 0)
	if err != nil {
		return fmt.Errorf("%w: %s", err, example)
	}
	return r.Close()
}
