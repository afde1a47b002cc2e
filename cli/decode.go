package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// decodeArgs are the arguments of decode.
type decodeArgs struct {
	formatArgs
	file string // "" and "-": standard input
	hex  string // the stream itself; "": read file
	json bool

	extended bool // HELLO has been said before the stream begins

	// What a receiver would accept, as in the handler's configuration.
	versions   string // "": those of the format
	commands   string // "": all
	maxPayload int    // 0: all that the format has
	onInvalid  string // close or drop
}

// maxSearch is how many bytes `on_invalid drop` throws away in search of the next magic. It is the gateway's.
const maxSearch = 64 << 10

// decode prints the frames of a stream, one a line. It reads in pieces, so the stream may be of any size,
// and prints what has come before it waits for more.
func decode(ctx context.Context, a decodeArgs, std stdio) (int, error) {
	f, err := a.find()
	if err != nil {
		return exitUsage, err
	}
	dec, err := a.decoder(f)
	if err != nil {
		return exitUsage, err
	}
	in, err := a.open(ctx, std.in)
	if err != nil {
		return exitUsage, err
	}
	defer in.Close()

	if a.extended && f != wire.GOPR {
		return exitUsage, fmt.Errorf("--extended --format %s: extended connections are GOPR's alone", f.Name())
	}
	out := bufio.NewWriterSize(std.out, 64<<10)
	d := &decoding{
		frames: newFormatReader(flushFirst{in, out}, dec, f),
		drop:   a.onInvalid == "drop",
		gopr:   f == wire.GOPR,
		print:  printer{out: out, err: std.err, text: newFrameText(f), json: a.json, extended: a.extended},
	}
	code, err := d.run()
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if flushErr := out.Flush(); flushErr != nil {
		return exitUsage, fmt.Errorf("writing the output: %w", flushErr)
	}
	fmt.Fprintln(std.err, d.summary())
	return code, err
}

// decoder is the decoder of the rules that were given.
func (a decodeArgs) decoder(f *wire.Format) (*wire.Decoder, error) {
	if a.onInvalid != "close" && a.onInvalid != "drop" {
		return nil, fmt.Errorf("--on-invalid %s: want close, to end at the first wrong frame, or drop, to go on behind it", a.onInvalid)
	}
	rules := wire.Rules{MaxPayload: a.maxPayload}
	for _, word := range words(a.versions) {
		v, err := parseNumber(word)
		if err != nil || v > math.MaxUint32 {
			return nil, fmt.Errorf("--versions %s: want numbers, such as \"1 2\"", a.versions)
		}
		rules.Versions = append(rules.Versions, uint32(v))
	}
	for _, word := range words(a.commands) {
		r, err := wire.ParseCommandRange(word)
		if err != nil {
			return nil, fmt.Errorf("--commands: %w", err)
		}
		if rules.Commands == nil {
			rules.Commands = wire.NewCommandSet()
		}
		rules.Commands.Add(r)
	}
	return f.NewDecoder(rules)
}

// words splits a list by spaces or commas.
func words(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ' ' || r == ',' })
}

// open opens the stream.
func (a decodeArgs) open(ctx context.Context, stdin io.Reader) (io.ReadCloser, error) {
	switch {
	case a.hex != "" && a.file != "":
		return nil, fmt.Errorf("--hex and the file %s: give one of them", a.file)
	case a.hex != "":
		b, err := parseHex(a.hex)
		return io.NopCloser(bytes.NewReader(b)), err
	case a.file == "" || a.file == "-":
		return io.NopCloser(untilDone(ctx, stdin)), nil
	}
	f, err := os.Open(a.file)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{untilDone(ctx, f), f}, nil
}

// flushFirst prints what there is before a read that may wait.
type flushFirst struct {
	io.Reader
	out *bufio.Writer
}

func (r flushFirst) Read(p []byte) (int, error) {
	if err := r.out.Flush(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// decoding is one run of decode.
type decoding struct {
	frames *frameReader
	drop   bool
	gopr   bool // HELLO means something
	print  printer

	good     int64 // frames printed
	rejected int64 // frames dropped; a search for the next magic is one
	searched int   // bytes thrown away since the last frame, in search of the next magic
}

// run prints frame by frame until the stream ends, or is not to be followed any further.
func (d *decoding) run() (int, error) {
	var f wire.Frame
	for {
		err := d.frames.next(&f)
		var reject *wire.RejectError
		switch {
		case err == nil:
			d.searched = 0
			if more, err := d.frame(&f); !more {
				return exitNo, err
			}
		case errors.As(err, &reject):
			if more, err := d.reject(reject); !more {
				return exitNo, err
			}
		default:
			return d.end(err)
		}
	}
}

// frame prints a frame; but one that is wrong on an extended connection is rejected as a whole.
func (d *decoding) frame(f *wire.Frame) (more bool, err error) {
	d.print.extended = d.print.extended || d.gopr && opensExtended(f)
	if d.print.extended {
		if err := checkExtended(f); err != nil {
			return d.rejectWhole(err, len(f.Raw))
		}
	}
	d.good++
	d.print.frame(d.frames.frame, f)
	return true, nil
}

// rejectWhole notes a frame that has been read and is wrong all the same.
func (d *decoding) rejectWhole(err error, size int) (more bool, _ error) {
	var r *wire.RejectError
	if !errors.As(err, &r) {
		return false, err
	}
	d.print.reject(d.frames.frame, r)
	wrong := errors.New(describeReject(d.frames.frame, r))
	if !d.drop {
		return false, wrong
	}
	d.rejected++
	d.frames.skipped += int64(size)
	d.print.dropped(wrong)
	return true, nil
}

// reject notes a wrong frame. more says whether to go on behind it; else err says what is wrong.
func (d *decoding) reject(r *wire.RejectError) (more bool, err error) {
	at := d.frames.frame
	searching := d.searched > 0 && r.Reason == wire.ReasonMagic // one search is one reject, however many pieces it takes
	if !searching {
		d.print.reject(at, r)
	}
	wrong := errors.New(describeReject(at, r))
	switch {
	case !d.drop || r.Reason != wire.ReasonMagic && r.Skip == 0:
		return false, wrong
	case r.Reason == wire.ReasonMagic:
		n := d.frames.search()
		if d.searched += n; d.searched > maxSearch {
			return false, fmt.Errorf("byte %d: no frame within %d bytes after a wrong magic: the gateway, too, would give up here", at, maxSearch)
		}
	default:
		d.frames.skip(r.Skip)
	}
	if !searching {
		d.rejected++
		d.print.dropped(wrong)
	}
	return true, nil
}

// end is how the run ends with the stream.
func (d *decoding) end(err error) (int, error) {
	var cut *cutError
	switch {
	case errors.Is(err, io.EOF) && d.rejected == 0:
		return exitOK, nil
	case errors.Is(err, io.EOF): // said frame by frame
		return exitNo, nil
	case errors.As(err, &cut):
		d.print.cut(cut)
		return exitNo, err
	case errors.Is(err, context.Canceled):
		return exitNo, err
	}
	return exitUsage, fmt.Errorf("reading the stream: %w", err)
}

func (d *decoding) summary() string {
	s := plural(d.good, "frame") + " in " + plural(d.frames.at, "byte")
	if d.rejected > 0 {
		s += fmt.Sprintf(", %d dropped with %s", d.rejected, plural(d.frames.skipped, "byte"))
	}
	return s
}
