package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// frameReader reads frames off a stream of any length, and knows at which byte of it it is. It holds no
// more than readSize bytes, or, of a format whose frames are longer, twice what has come of one.
type frameReader struct {
	r      io.Reader
	dec    *wire.Decoder
	header int // size of a header, in bytes

	buf     []byte
	start   int   // buf[start:] is not yet used
	at      int64 // the byte of the stream at start
	frame   int64 // the byte at which the frame of the last next begins
	owed    int   // bytes to be skipped that have not come yet
	skipped int64 // bytes that were, by skip and search
	err     error // what the reader said; the bytes before it come first
}

// readSize holds any frame of GOPR, and so many of the small ones that a read costs little.
const readSize = 2 * (wire.HeaderLen + wire.MaxPayload)

// newFrameReader reads GOPR.
func newFrameReader(r io.Reader, dec *wire.Decoder) *frameReader {
	return newFormatReader(r, dec, wire.GOPR)
}

// newFormatReader reads frames of a format, whose decoder dec is.
func newFormatReader(r io.Reader, dec *wire.Decoder, f *wire.Format) *frameReader {
	return &frameReader{r: r, dec: dec, header: f.HeaderLen(), buf: make([]byte, 0, readSize)}
}

// next reads the next frame into f, which is valid until the call after. The error is io.EOF where the
// stream ends behind a frame, a *cutError where it ends inside one, a *[wire.RejectError], or the
// reader's own. After a reject, next gives it again until skip or search.
func (r *frameReader) next(f *wire.Frame) error {
	for {
		r.settle()
		rest := r.buf[r.start:]
		if r.owed == 0 {
			n, err := r.dec.Next(rest, f)
			if n > 0 || err != nil {
				r.frame = r.at
				r.take(n)
				return err
			}
		}
		if r.err != nil {
			return r.ended()
		}
		r.fill()
	}
}

// fill reads a piece behind what is not yet used. That is less than a frame, which is what bounds the buffer; it
// grows with what has come, and not with what a header promises.
func (r *frameReader) fill() {
	if len(r.buf)-r.start == cap(r.buf) {
		r.buf = append(make([]byte, 0, 2*cap(r.buf)), r.buf...)
	}
	n := len(r.buf) - r.start
	if r.start > 0 { // or a long frame that comes in drop by drop would be moved with each
		copy(r.buf, r.buf[r.start:])
	}
	r.buf, r.start = r.buf[:n], 0
	for range 100 {
		got, err := r.r.Read(r.buf[n:cap(r.buf)])
		r.buf, r.err = r.buf[:n+got], err
		if got > 0 || err != nil {
			return
		}
	}
	r.err = io.ErrNoProgress
}

// ended is what next says at the end of the stream.
func (r *frameReader) ended() error {
	have := len(r.buf) - r.start
	if !errors.Is(r.err, io.EOF) || have == 0 && r.owed == 0 {
		return r.err
	}
	if r.owed > 0 {
		return &cutError{At: r.frame, Have: r.at - r.frame, Want: r.at - r.frame + int64(r.owed)}
	}
	var f wire.Frame
	want, _ := r.dec.Header(r.buf[r.start:], &f) // no reject, or next had given it
	if want == 0 {
		return &cutError{At: r.at, Have: int64(have), Header: int64(r.header)}
	}
	return &cutError{At: r.at, Have: int64(have), Want: int64(want)}
}

// skip goes on n bytes behind the start of the frame that was rejected, even where they have not come yet.
func (r *frameReader) skip(n int) {
	r.owed = n
	r.settle()
}

// search goes on where the next magic may begin, and returns how many bytes that is.
func (r *frameReader) search() (n int) {
	n = r.dec.Resync(r.buf[r.start:])
	r.skip(n)
	return n
}

// settle skips what is owed, as far as it has come.
func (r *frameReader) settle() {
	n := min(r.owed, len(r.buf)-r.start)
	r.owed -= n
	r.skipped += int64(n)
	r.take(n)
}

func (r *frameReader) take(n int) {
	r.start += n
	r.at += int64(n)
}

// cutError is a stream that ends inside a frame.
type cutError struct {
	At   int64 // the byte of the stream at which the frame begins
	Have int64 // how many bytes of it there are
	Want int64 // how long it is; 0: its header is not complete, either

	Header int64 // how long that is, where it is not complete
}

func (e *cutError) Error() string {
	if e.Want == 0 {
		return fmt.Sprintf("the stream ends inside a frame: it begins at byte %d, and has %d of the %d bytes of its header", e.At, e.Have, e.Header)
	}
	return fmt.Sprintf("the stream ends inside a frame: it begins at byte %d, and has %d of its %d bytes", e.At, e.Have, e.Want)
}

// describeReject says of a frame that begins at the byte `at` of the stream why it is refused: at which
// byte, the reason, what came, and what would have been right.
func describeReject(at int64, r *wire.RejectError) string {
	got, want := fmt.Sprint(r.Got), fmt.Sprint(r.Want)
	switch r.Reason {
	case wire.ReasonMagic:
		got, want = fmt.Sprintf("0x%02X", r.Got), fmt.Sprintf("0x%02X", r.Want)
	case wire.ReasonLength:
		want = "at most " + want
		if r.Got < r.Want {
			want = fmt.Sprint("at least ", r.Want)
		}
	case wire.ReasonChecksum:
		got, want = fmt.Sprintf("0x%X", r.Got), fmt.Sprintf("0x%X", r.Want)
	case wire.ReasonMalformed:
		if r.Got == r.Want { // what came is more than a byte
			return fmt.Sprintf("byte %d: %v: not what an extended connection has (in the frame that begins at byte %d)", at+int64(r.Offset), r.Reason, at)
		}
		got, want = fmt.Sprintf("0x%02X", r.Got), fmt.Sprintf("0x%02X", r.Want)
	case wire.ReasonCommand:
		got, want = fmt.Sprintf("0x%02X", r.Got), "one on the allow-list"
	}
	return fmt.Sprintf("byte %d: %v: got %s, want %s (in the frame that begins at byte %d)",
		at+int64(r.Offset), r.Reason, got, want, at)
}
