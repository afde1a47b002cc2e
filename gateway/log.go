package gateway

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
)

// Log is the logger of everything that outlives a configuration. It writes where the newest configuration that runs writes.
var Log = slog.New(newest{})

var current logs

// logs are where the configurations that run write, the newest last. In a reload there are two for a moment: the new one starts before the old one stops, and
// where it does not come up (another app did not start) it is stopped, and the old one goes on.
type logs struct {
	mu      sync.Mutex
	running []*output
	newest  atomic.Pointer[output] // the last that there was: what ends after the last configuration has stopped is logged, too
}

// output is where a configuration writes.
type output struct {
	log    slog.Handler
	access *zap.Logger
}

func (l *logs) push(o *output) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = append(l.running, o)
	l.newest.Store(o)
}

func (l *logs) pop(o *output) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = slices.DeleteFunc(l.running, func(r *output) bool { return r == o })
	if n := len(l.running); n > 0 {
		l.newest.Store(l.running[n-1])
	}
}

// newest is a slog.Handler that passes records to the newest configuration's.
type newest struct{ attrs []slog.Attr }

func handler() slog.Handler {
	if out := current.newest.Load(); out != nil {
		return out.log
	}
	return slog.DiscardHandler
}

// Enabled implements slog.Handler.
func (n newest) Enabled(ctx context.Context, l slog.Level) bool { return handler().Enabled(ctx, l) }

// Handle implements slog.Handler.
func (n newest) Handle(ctx context.Context, r slog.Record) error {
	r = r.Clone()
	r.AddAttrs(n.attrs...)
	return handler().Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (n newest) WithAttrs(attrs []slog.Attr) slog.Handler {
	return newest{attrs: slices.Concat(n.attrs, attrs)}
}

// WithGroup implements slog.Handler; nothing here groups.
func (n newest) WithGroup(string) slog.Handler { return n }
