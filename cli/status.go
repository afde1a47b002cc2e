package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"
)

type statusArgs struct {
	adminArgs
	interval time.Duration // that rates are measured over; 0: none are
	watch    bool
	json     bool
}

// status shows handlers and upstreams, once or over and over.
func status(ctx context.Context, a statusArgs, std stdio) (int, error) {
	if a.interval < 0 || a.watch && a.interval == 0 {
		return exitUsage, fmt.Errorf("--interval %v: want a time such as 2s", a.interval)
	}
	api, err := a.find()
	if err != nil {
		return exitUsage, err
	}
	before, err := api.overview(ctx)
	if err != nil {
		return failed(err), err
	}
	screen := a.watch && !a.json && isTerminal(std.out)
	for {
		now := before
		if a.interval > 0 {
			sleep(ctx, a.interval)
			now, err = api.overview(ctx)
		}
		switch {
		case ctx.Err() != nil: // whoever watches has seen enough
			return exitOK, nil
		case err != nil && !a.watch:
			return failed(err), err
		case err != nil: // Caddy may be about to come back
			fmt.Fprintf(std.err, "%v\n", err)
			continue
		}
		if now != before {
			now.rate(before)
		}
		if screen {
			fmt.Fprintf(std.out, "\x1b[H\x1b[J%s  %s  every %v\n\n", api.base, now.At.Format(time.TimeOnly), a.interval)
		}
		if err := now.print(std.out, a.json); err != nil {
			return exitUsage, err
		}
		if !a.watch {
			return exitOK, nil
		}
		if !screen && !a.json {
			fmt.Fprintln(std.out)
		}
		before = now
	}
}

// isTerminal says whether somebody looks at what is written.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	stat, err := f.Stat()
	return err == nil && stat.Mode()&os.ModeCharDevice != 0
}
