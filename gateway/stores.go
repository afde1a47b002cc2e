package gateway

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/caddy-gopr/caddy-gopr/queue"
	queuememory "github.com/caddy-gopr/caddy-gopr/queue/memory"
	queueredis "github.com/caddy-gopr/caddy-gopr/queue/redis"
	queuesqlite "github.com/caddy-gopr/caddy-gopr/queue/sqlite"
	"github.com/caddy-gopr/caddy-gopr/session"
	sessionmemory "github.com/caddy-gopr/caddy-gopr/session/memory"
	sessionredis "github.com/caddy-gopr/caddy-gopr/session/redis"
	sessionsqlite "github.com/caddy-gopr/caddy-gopr/session/sqlite"
)

// The stores that are open, each once, whoever uses it: what a store counts it counts in memory, and two of one file would not know of each other.
var (
	sessionStores = shared[storeKey, session.Store]{close: session.Store.Close}
	queueStores   = shared[storeKey, queue.Store]{close: queue.Store.Close}
)

// storeKey is equal for the same store. Each handler has its own memory, and its own part of a Redis.
type storeKey struct {
	Place
	handler string // "" of a file, which is one handler's as a whole
}

func (p Place) key(handler string) storeKey {
	if p.kind == StoreSQLite {
		handler = ""
	}
	return storeKey{p, handler}
}

// openSessions opens a handler's store of sessions.
func (p Place) openSessions(handler string) (s session.Store, release func() error, err error) {
	s, release, err = sessionStores.acquire(p.key(handler), func() (session.Store, error) {
		switch p.kind {
		case StoreMemory:
			return sessionmemory.Open(sessionmemory.Options{}), nil
		case StoreSQLite:
			return sessionsqlite.Open(p.at, sessionsqlite.Options{})
		case StoreRedis:
			at, err := redisFor(p.at, handler)
			if err != nil {
				return nil, err
			}
			return sessionredis.Open(at)
		default:
			return nil, fmt.Errorf("%s can't keep sessions", p.kind)
		}
	})
	if err != nil {
		return nil, nil, fmt.Errorf("sessions in %v: %w", p, err)
	}
	return s, release, nil
}

// openQueue opens a handler's store of messages. Where it is open already, the bounds are those under which it was opened, until somebody sets others.
func (p Place) openQueue(handler string, b queue.Bounds) (q queue.Store, release func() error, err error) {
	q, release, err = queueStores.acquire(p.key(handler), func() (queue.Store, error) {
		switch p.kind {
		case StoreMemory:
			return queuememory.New(b, nil), nil
		case StoreSQLite:
			return queuesqlite.Open(p.at, b, nil)
		case StoreRedis:
			at, err := redisFor(p.at, handler)
			if err != nil {
				return nil, err
			}
			return queueredis.Open(at, b, nil)
		default:
			return nil, fmt.Errorf("%s can't keep messages", p.kind)
		}
	})
	if err != nil {
		return nil, nil, fmt.Errorf("messages in %v: %w", p, err)
	}
	return q, release, nil
}

// defaultPrefix is what the keys in a Redis begin with unless its URL says otherwise.
const defaultPrefix = "gopr:"

// redisFor returns the URL with the handler's name in the prefix of its keys: handlers of that name share them, at whatever gateway, and others don't see them. The URL may
// have several hosts, so it is none to net/url.
func redisFor(at, handler string) (string, error) {
	to, query, _ := strings.Cut(at, "?")
	q, err := url.ParseQuery(query)
	if err != nil {
		return "", errors.New("the options in the URL of the Redis can't be read: write them as ?name=value&name=value")
	}
	prefix := defaultPrefix
	if q.Has("prefix") {
		prefix = q.Get("prefix")
	}
	q.Set("prefix", prefix+url.QueryEscape(handler)+":") // which has none of the characters that mean something to a Redis
	return to + "?" + q.Encode(), nil
}
