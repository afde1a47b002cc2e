package cli

import (
	"context"
	"io"
)

// stdio is where a command reads and writes.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// Exit codes, which are those of ping(8).
const (
	exitOK    = 0 // the peer answered; the stream is good
	exitNo    = 1 // it did not; it is not
	exitUsage = 2 // it could not be tried: wrong arguments, no connection, a file that cannot be read
)

// untilDone returns a reader of r whose Read ends with ctx. A read of a terminal or a pipe cannot be cut
// short; so it is made by a goroutine, which is left behind with it where ctx ends first, and ends with
// that read.
func untilDone(ctx context.Context, r io.Reader) io.Reader {
	return &doneReader{ctx: ctx, r: r, came: make(chan readResult, 1)}
}

type doneReader struct {
	ctx  context.Context
	r    io.Reader
	came chan readResult // has room, so the goroutine never waits
	buf  []byte          // the goroutine's while it reads, else ours
	rest readResult      // what came and was not yet asked for
}

type readResult struct {
	b   []byte
	err error
}

func (d *doneReader) Read(p []byte) (int, error) {
	if err := d.ctx.Err(); err != nil {
		return 0, err
	}
	if len(d.rest.b) == 0 && d.rest.err == nil {
		if d.buf == nil {
			d.buf = make([]byte, 64<<10)
		}
		go func() {
			n, err := d.r.Read(d.buf)
			d.came <- readResult{d.buf[:n], err}
		}()
		select {
		case d.rest = <-d.came:
		case <-d.ctx.Done():
			return 0, d.ctx.Err()
		}
	}
	n := copy(p, d.rest.b)
	d.rest.b = d.rest.b[n:]
	if len(d.rest.b) > 0 {
		return n, nil
	}
	return n, d.rest.err
}
