package gateway

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
)

// Log is the logger of everything that outlives a configuration. It writes where the newest configuration that runs writes.
var Log = slog.New(newest{})

var current logs

// logs are where the configurations that run write, the newest last. In a reload there are two for a moment: the new one starts before the old one stops, and
// where it does not come up (another app did not start) it is stopped, and the old one goes on.
type logs struct {
	mu      sync.Mutex
	running []*slog.Handler
	newest  atomic.Pointer[slog.Handler] // the last that there was: what ends after the last configuration has stopped is logged, too
}

func (l *logs) push(h *slog.Handler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = append(l.running, h)
	l.newest.Store(h)
}

func (l *logs) pop(h *slog.Handler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = slices.DeleteFunc(l.running, func(r *slog.Handler) bool { return r == h })
	if n := len(l.running); n > 0 {
		l.newest.Store(l.running[n-1])
	}
}

// newest is a slog.Handler that passes records to the newest configuration's.
type newest struct{ attrs []slog.Attr }

func handler() slog.Handler {
	if h := current.newest.Load(); h != nil {
		return *h
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
