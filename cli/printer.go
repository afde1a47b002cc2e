package cli

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// printer prints what decode finds, as lines of text or of JSON. That writing fails, its bufio.Writer
// remembers until it is flushed.
type printer struct {
	out  *bufio.Writer
	err  io.Writer
	text *frameText
	json bool
	line []byte

	extended bool // the connection is: HELLO has been said
}

// A frameLine is a line of `decode --json`: a frame, or why there is none at this byte. The first fields
// are what `send --json` prints, too.
type frameLine struct {
	Offset int64 `json:"offset"` // the byte of the stream at which the frame begins
	*frameJSON
	Reject     *rejectJSON     `json:"reject,omitempty"`
	Incomplete *incompleteJSON `json:"incomplete,omitempty"`
}

type frameJSON struct {
	Version uint32  `json:"version"`
	Cmd     uint32  `json:"cmd"`
	Flag    uint32  `json:"flag"`
	ID      *uint64 `json:"id,omitempty"` // of a format that has one
	Length  int     `json:"length"`
	Payload string  `json:"payload"`        // hexadecimal
	Text    string  `json:"text,omitempty"` // where the payload is printable

	Extended *extendedJSON `json:"extended,omitempty"` // on an extended connection, of all but heartbeats
}

// rejectJSON has the names of the test vectors in wire/testdata, but for the byte, which is counted from the
// beginning of the stream.
type rejectJSON struct {
	Reason string `json:"reason"`
	Byte   int64  `json:"byte"`
	Got    uint64 `json:"got"`
	Want   uint64 `json:"want"`
}

// incompleteJSON is a frame in which the stream ends.
type incompleteJSON struct {
	Have int64 `json:"have"`           // bytes
	Want int64 `json:"want,omitempty"` // bytes; not there: the header is not complete, either
}

func newFrameJSON(f *wire.Frame) *frameJSON {
	j := &frameJSON{
		Version: f.Version, Cmd: f.Cmd, Flag: f.Flag,
		Length: len(f.Payload), Payload: hex.EncodeToString(f.Payload),
	}
	if printable(f.Payload) {
		j.Text = string(f.Payload)
	}
	return j
}

func (p *printer) frame(at int64, f *wire.Frame) {
	if p.json {
		j := newFrameJSON(f)
		if p.extended {
			shown := masked(f)
			j.Payload, j.Extended = hex.EncodeToString(shown), newExtendedJSON(f)
			if !printable(shown) {
				j.Text = ""
			}
		}
		if id, ok := p.text.format.ID(f); ok {
			j.ID = &id
		}
		p.jsonLine(frameLine{Offset: at, frameJSON: j})
		return
	}
	p.line = fmt.Appendf(p.line[:0], "%8d  ", at)
	if p.extended {
		p.line = appendExtended(p.line, f)
	} else {
		p.line = p.text.append(p.line, f)
	}
	p.line = append(p.line, '\n')
	_, _ = p.out.Write(p.line)
}

func (p *printer) reject(at int64, r *wire.RejectError) {
	if p.json {
		p.jsonLine(frameLine{Offset: at, Reject: &rejectJSON{
			Reason: r.Reason.String(), Byte: at + int64(r.Offset), Got: r.Got, Want: r.Want,
		}})
	}
}

func (p *printer) cut(e *cutError) {
	if p.json {
		p.jsonLine(frameLine{Offset: e.At, Incomplete: &incompleteJSON{Have: e.Have, Want: e.Want}})
	}
}

// dropped tells of a wrong frame behind which decode goes on, in its place among the good ones.
func (p *printer) dropped(wrong error) {
	if !p.json {
		_ = p.out.Flush()
		fmt.Fprintf(p.err, "dropped: %v\n", wrong)
	}
}

func (p *printer) jsonLine(v any) {
	enc := json.NewEncoder(p.out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
}
