package gateway

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
)

// Log is the logger of everything that outlives a configuration. It writes where the newest configuration that started writes.
var Log = slog.New(newest{})

var current atomic.Pointer[slog.Handler]

// newest is a slog.Handler that passes records to the newest configuration's.
type newest struct{ attrs []slog.Attr }

func handler() slog.Handler {
	if h := current.Load(); h != nil {
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
