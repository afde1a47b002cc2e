package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// sendArgs are the arguments of send.
type sendArgs struct {
	dialArgs
	cmd, flag uint8

	// The payload; at most one of them is given.
	data string
	hex  string
	file string // "-": standard input

	raw, json bool // how the answer is printed; neither: for the eye

	sessionArgs
	ticket    string // a file; "": the session ends with the command
	flagGiven bool   // or flag is the default
}

// send sends one frame and prints the payload of its answer. It does by hand what the client package does
// by itself: it is there to show what a peer answers to a frame, whichever, a PING included.
func send(ctx context.Context, a sendArgs, std stdio) (int, error) {
	payload, err := a.payload(ctx, std.in)
	if err != nil {
		return exitUsage, err
	}
	if a.qos > 0 || a.clientID != "" || a.credential != "" || a.ticket != "" {
		return publish(ctx, a, payload, std)
	}
	d, err := newDialer(a.dialArgs)
	if err != nil {
		return exitUsage, err
	}
	nc, err := d.connect(ctx)
	if err != nil {
		return exitUsage, err
	}
	defer nc.Close()

	began := time.Now()
	_ = nc.SetDeadline(began.Add(a.timeout))
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := nc.Write(wire.AppendFrame(nil, a.cmd, a.flag, payload)); err != nil {
		return exitNo, a.failed(ctx, "the frame was not sent", err, otherFrames{})
	}
	if a.flag&wire.FlagReq == 0 {
		leave(nc)
		return exitOK, nil
	}
	answer, others, err := a.answer(nc)
	if err != nil {
		return exitNo, a.failed(ctx, "no answer", err, others)
	}
	if err := a.print(std.out, answer, time.Since(began)); err != nil {
		return exitUsage, fmt.Errorf("writing the output: %w", err)
	}
	return exitOK, nil
}

// payload reads the payload that was given.
func (a sendArgs) payload(ctx context.Context, stdin io.Reader) (payload []byte, err error) {
	switch given := count(a.data != "", a.hex != "", a.file != ""); {
	case given > 1:
		return nil, errors.New("the payload is given twice: give one of --data, --hex and --file")
	case a.raw && a.json:
		return nil, errors.New("--raw prints bytes, and --json does not: leave out one of them")
	case a.hex != "":
		payload, err = parseHex(a.hex)
	case a.file != "":
		payload, err = readFile(ctx, a.file, stdin)
	default:
		payload = []byte(a.data)
	}
	if err == nil && len(payload) > wire.MaxPayload {
		err = fmt.Errorf("the payload is longer than a frame can carry, which is %d bytes", wire.MaxPayload)
	}
	return payload, err
}

// readFile reads a file, or standard input, and of a long one no more than it takes to see that it is too long.
func readFile(ctx context.Context, name string, stdin io.Reader) ([]byte, error) {
	r := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r = f
	}
	return io.ReadAll(io.LimitReader(untilDone(ctx, r), wire.MaxPayload+1))
}

func count(conditions ...bool) (n int) {
	for _, c := range conditions {
		if c {
			n++
		}
	}
	return n
}

// answer reads until the answer comes. Pings of the peer are answered meanwhile.
func (a sendArgs) answer(nc net.Conn) (*wire.Frame, otherFrames, error) {
	var (
		f        wire.Frame
		others   otherFrames
		sentPing = a.cmd == wire.CmdPing && a.flag == wire.FlagReq
	)
	frames := newFrameReader(nc, plain())
	for {
		if err := frames.next(&f); err != nil {
			return nil, others, err
		}
		switch name := heartbeatName(&f); {
		case name == "PING":
			if _, err := nc.Write(wire.AppendFrame(nil, wire.CmdPong, wire.FlagRsp, f.Payload)); err != nil {
				return nil, others, err
			}
		case f.Flag&wire.FlagRsp != 0 && sentPing == (name == "PONG"):
			return &f, others, nil
		default:
			others = otherFrames{n: others.n + 1, cmd: f.Cmd, flag: f.Flag}
		}
	}
}

// otherFrames are those that came in place of the answer. By them a peer is found that does not mark its
// answers as such.
type otherFrames struct {
	n         int
	cmd, flag uint32 // of the last one
}

func (o otherFrames) String() string {
	if o.n == 0 {
		return ""
	}
	return fmt.Sprintf(" (but %s that answered nothing, the last with command 0x%02X and flag 0x%02X; an answer has flag 0x02)",
		plural(o.n, "frame"), o.cmd, o.flag)
}

// failed says what came of it, and why.
func (a sendArgs) failed(ctx context.Context, what string, err error, others otherFrames) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: interrupted%v", what, others)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%s within %v%v", what, a.timeout, others)
	case errors.Is(err, io.EOF):
		if others.n == 0 {
			return fmt.Errorf("%s: the peer closed the connection%s", what, a.perhapsTLS())
		}
		return fmt.Errorf("%s: the peer closed the connection%v", what, others)
	}
	return fmt.Errorf("%s: %w%v", what, explain(err), others)
}

// lingering is how long leave waits for the peer.
const lingering = time.Second

// leave ends a connection so that what was sent arrives. To close it while there is something unread,
// such as the session ticket of a TLS server, would reset it, and a reset overtakes what was sent.
func leave(nc net.Conn) {
	half, ok := nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = nc.SetReadDeadline(time.Now().Add(lingering))
	_, _ = io.Copy(io.Discard, nc)
}

// print prints the answer.
func (a sendArgs) print(out io.Writer, f *wire.Frame, took time.Duration) error {
	var err error
	switch {
	case a.json:
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		err = enc.Encode(struct {
			*frameJSON
			Time float64 `json:"time_ms"`
		}{newFrameJSON(f), float64(took) / float64(time.Millisecond)})
	case a.raw:
		_, err = out.Write(f.Payload)
	case printable(f.Payload):
		_, err = fmt.Fprintf(out, "%s\n", f.Payload)
	default:
		_, err = fmt.Fprintf(out, "%x\n", f.Payload)
	}
	return err
}
