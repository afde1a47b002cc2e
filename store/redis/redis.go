// Package redis opens a Redis: one server, a master that Sentinels watch, or a cluster.
//
//	redis.go    the connection, and its state of health
//	scan.go     what keys there are
//	url.go      where the Redis is, by URL
//	escape.go   keys
//	redistest/  real servers, for tests
package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Redis is a pool of connections. Its methods may be called from any goroutine.
type Redis struct {
	redis.UniversalClient
	prefix   string
	name     string // of the hosts: for errors, so without password
	replicas int
	timeout  time.Duration

	mu     sync.Mutex
	health Health
}

// Health says how a Redis does, by what came of the last commands.
type Health struct {
	Up    bool      // it has answered, whatever it said. False also before the first command
	Since time.Time // when that began; zero: before the first command
	Err   error     // why it is not up; nil: it is, or nothing was tried
	Lost  uint64    // how often it has gone from up to down
}

// Open takes a URL; see docs/redis.md for its forms and options. It connects to nobody: a Redis that is away is found out by the first command.
// retries is how often a command is sent again whose answer did not come; 0: never.
func Open(url string, retries int) (*Redis, error) {
	o, err := parse(url)
	if err != nil {
		return nil, err
	}
	o.client.MaxRetries = retries
	if retries == 0 {
		o.client.MaxRetries = -1
	}
	// A client waits for its session: it is told soon that the store is away, rather than after five more tries.
	o.client.DialerRetries = 1
	o.client.ContextTimeoutEnabled = true
	quiet()
	o.client.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	r := &Redis{UniversalClient: redis.NewUniversalClient(&o.client), prefix: o.prefix, name: o.name(), replicas: o.replicas, timeout: o.client.ReadTimeout}
	r.AddHook(watch{r})
	return r, nil
}

// quiet keeps go-redis from writing a line of its own to stderr for each dial that fails: errors are returned, and Health tells the rest.
var quiet = sync.OnceFunc(logging.Disable)

// String names the hosts.
func (r *Redis) String() string { return "redis " + r.name }

// Health returns the state of health.
func (r *Redis) Health() Health {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.health
}

// Err has an error say which Redis it is about. nil stays nil.
func (r *Redis) Err(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("redis %s: %w", r.name, err)
}

// Pipe sends commands in one round trip. Where the URL wants replicas to have what was written, the error says so if they don't: then it was written all the same.
// That a script must be loaded first comes before, as whoever is told so sends all again.
// Otherwise the error is that of the first command that has one; each command has its own.
func (r *Redis) Pipe(ctx context.Context, f func(redis.Pipeliner)) error {
	p := r.Pipeline()
	f(p)
	var wait *redis.IntCmd
	if r.replicas > 0 {
		// Half the time: the answer must be here before the connection is given up.
		wait = redis.NewIntCmd(ctx, "wait", r.replicas, (r.timeout / 2).Milliseconds())
		_ = p.Process(ctx, wait)
	}
	_, err := p.Exec(ctx)
	if wait != nil && wait.Err() == nil && wait.Val() < int64(r.replicas) && !redis.HasErrorPrefix(err, "NOSCRIPT") {
		return r.Err(fmt.Errorf("%w: %d of %d", ErrReplicas, wait.Val(), r.replicas))
	}
	return r.Err(err)
}

// Run runs a script in one round trip, or two where the server does not have it yet. The error is as that of Pipe.
func (r *Redis) Run(ctx context.Context, script *redis.Script, keys []string, args ...any) (any, error) {
	return r.RunWith(ctx, nil, script, keys, args...)
}

// RunWith is Run with other commands in the same round trip.
func (r *Redis) RunWith(ctx context.Context, with func(redis.Pipeliner), script *redis.Script, keys []string, args ...any) (any, error) {
	var cmd *redis.Cmd
	err := r.Pipe(ctx, func(p redis.Pipeliner) {
		if with != nil {
			with(p)
		}
		cmd = script.EvalSha(ctx, p, keys, args...)
	})
	if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
		err = r.Pipe(ctx, func(p redis.Pipeliner) { cmd = script.Eval(ctx, p, keys, args...) })
	}
	return cmd.Val(), err
}

// ErrReplicas says that what was written has not reached as many replicas as the URL asks for.
var ErrReplicas = errors.New("too few replicas have what was written")

// Answered says whether an error is the server's own word, so that the command was not carried out; else what became of it is unknown.
func Answered(err error) bool {
	var said redis.Error
	return errors.As(err, &said)
}

// A watch sees each command's end.
type watch struct{ *Redis }

func (w watch) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := next(ctx, network, addr)
		if err != nil {
			w.note(ctx, err)
		}
		return c, err
	}
}

func (w watch) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		w.note(ctx, err)
		return err
	}
}

func (w watch) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		w.note(ctx, err)
		return err
	}
}

func (r *Redis) note(ctx context.Context, err error) {
	if errors.Is(err, context.Canceled) || ctx.Err() != nil {
		return // whoever asked did not wait: that says nothing of the server
	}
	up := err == nil || Answered(err) && !away(err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if up != r.health.Up || r.health.Since.IsZero() {
		if r.health.Up {
			r.health.Lost++
		}
		r.health.Up, r.health.Since = up, time.Now()
	}
	r.health.Err = nil
	if !up {
		r.health.Err = r.Err(err)
	}
}

// away says whether a server's own word is that it can't serve.
func away(err error) bool {
	return redis.IsLoadingError(err) || redis.IsClusterDownError(err) || redis.IsMasterDownError(err) || redis.IsAuthError(err) ||
		redis.HasErrorPrefix(err, "READONLY") || redis.HasErrorPrefix(err, "NOREPLICAS") || redis.HasErrorPrefix(err, "MISCONF") || redis.HasErrorPrefix(err, "OOM")
}
