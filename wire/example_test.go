package wire_test

import (
	"errors"
	"fmt"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// The loop that every reader of a stream writes: take the whole frames off what
// has come, keep the rest for the next piece.
func ExampleDecoder_Next() {
	d, err := wire.GOPR.NewDecoder(wire.Rules{MaxPayload: 16 << 10})
	if err != nil {
		fmt.Println(err)
		return
	}

	// What three reads of a connection may bring: two frames, split anywhere.
	pieces := []string{
		"GOPR\x00\x01\x00\x05\x10\x01he",
		"llo" + "GOP",
		"R\x00\x01\x00\x00\x01\x01",
	}

	var (
		buf []byte // what has come and is not yet used
		f   wire.Frame
	)
	for _, piece := range pieces {
		buf = append(buf, piece...)
		off := 0
		for {
			n, err := d.Next(buf[off:], &f)
			if err != nil {
				fmt.Println("close:", err)
				return
			}
			if n == 0 {
				break // the rest of this frame is still to come
			}
			fmt.Printf("cmd 0x%02X flag 0x%02X payload %q\n", f.Cmd, f.Flag, f.Payload)
			off += n
		}
		buf = append(buf[:0], buf[off:]...) // f.Raw and f.Payload are not valid from here on
		fmt.Println(len(buf), "bytes kept")
	}
	// Output:
	// 12 bytes kept
	// cmd 0x10 flag 0x01 payload "hello"
	// 3 bytes kept
	// cmd 0x01 flag 0x01 payload ""
	// 0 bytes kept
}

// A receiver that drops what it does not accept goes on where the next frame
// begins: behind the frame where its length is to be trusted, else at the next
// magic.
func ExampleDecoder_Next_drop() {
	d, err := wire.GOPR.NewDecoder(wire.Rules{})
	if err != nil {
		fmt.Println(err)
		return
	}

	b := []byte("garbage" +
		"GOPR\x00\x01\x00\x03\x10\x00one" +
		"GOPR\x00\x09\x00\x03\x10\x00two" + // version 9
		"GOPR\x00\x01\x00\x05\x10\x00three")
	var f wire.Frame
	for len(b) > 0 {
		n, err := d.Next(b, &f)
		var reject *wire.RejectError
		switch {
		case errors.As(err, &reject):
			fmt.Println("drop:", reject)
			switch {
			case reject.Skip > 0:
				n = reject.Skip
			case reject.Reason == wire.ReasonMagic:
				n = d.Resync(b)
			default:
				return // close: no telling where the next frame begins
			}
		case n == 0:
			return // wait for more
		default:
			fmt.Printf("frame: %s\n", f.Payload)
		}
		b = b[min(n, len(b)):] // of a frame dropped, the end may be still to come
	}
	// Output:
	// drop: wrong magic: byte 0 is 0x67, want 0x47
	// frame: one
	// drop: version 9 at byte 4 is not accepted, want 1
	// frame: three
}

// Header tells a protocol by its first bytes, one being enough to say no.
func ExampleDecoder_Header() {
	d, err := wire.GOPR.NewDecoder(wire.Rules{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, b := range []string{"\x16", "GO", "GOPR\x00\x01\x10\x00\x20\x01"} {
		var f wire.Frame
		size, err := d.Header([]byte(b), &f)
		switch {
		case err != nil:
			fmt.Printf("%q: no: %v\n", b, err)
		case size == 0:
			fmt.Printf("%q: perhaps\n", b)
		default:
			fmt.Printf("%q: yes, cmd 0x%02X in a frame of %d bytes\n", b, f.Cmd, size)
		}
	}
	// Output:
	// "\x16": no: wrong magic: byte 0 is 0x16, want 0x47
	// "GO": perhaps
	// "GOPR\x00\x01\x10\x00 \x01": yes, cmd 0x20 in a frame of 4106 bytes
}

// Frames are appended to a buffer that the caller writes when it is ready, so
// that many frames are one write.
func ExampleAppendFrame() {
	var out []byte
	out = wire.AppendFrame(out, wire.CmdPing, wire.FlagReq, nil)
	out = wire.AppendFrame(out, wire.CmdApp, wire.FlagReq, []byte("hello"))
	fmt.Printf("%x\n", out)
	// Output:
	// 474f5052000100000101474f505200010005100168656c6c6f
}

// A PING carries what its sender wants to know of the PONG.
func ExampleAppendPing() {
	frame := wire.AppendPing(nil, wire.Ping{Seq: 7, Time: 1_000_000})
	echoed := frame[wire.HeaderLen:] // as the PONG brings it back

	p, ok := wire.ParsePing(echoed)
	fmt.Println(p.Seq, p.Time, ok)
	// Output:
	// 7 1000000 true
}

func ExampleParseCommandRange() {
	allowed := wire.NewCommandSet()
	for _, word := range []string{"0x01", "0x10-0x7F", "128"} {
		r, err := wire.ParseCommandRange(word)
		if err != nil {
			fmt.Println(err)
			return
		}
		allowed.Add(r)
	}
	fmt.Println(allowed)
	fmt.Println(allowed.Contains(wire.CmdPing), allowed.Contains(wire.CmdPong))
	// Output:
	// 0x01 0x10-0x80
	// true false
}

// A protocol is declared, not programmed: where its fields lie, what is a ping,
// and what pairs an answer with its request. This is memcached's binary protocol.
func ExampleNewFormat() {
	memcached, err := wire.NewFormat("memcached", wire.Layout{
		Header:            24,
		Magic:             []byte{0x80}, // of a request
		AnswerMagic:       []byte{0x81},
		Cmd:               wire.Field{Offset: 1, Size: 1},
		LengthFieldOffset: 8,
		LengthFieldLength: 4,
		ID:                wire.IDField{Offset: 12, Size: 4},
		Heartbeat: wire.Heartbeat{ // NOOP
			Ping: wire.Match{From: wire.FromClient, Cmd: wire.Is(0x0A)},
			Pong: &wire.Reply{},
		},
		Asks:    wire.Match{From: wire.FromClient},
		Answers: wire.Match{From: wire.FromServer},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	d, err := memcached.NewDecoder(wire.Rules{MaxPayload: 1 << 16})
	if err != nil {
		fmt.Println(err)
		return
	}

	noop := []byte("\x80\x0A\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x2A\x00\x00\x00\x00\x00\x00\x00\x00")
	var f wire.Frame
	if _, err := d.Next(noop, &f); err != nil {
		fmt.Println(err)
		return
	}
	id, _ := memcached.ID(&f)
	fmt.Println("ping:", memcached.IsPing(&f), "id:", id)
	fmt.Printf("pong: %x\n", memcached.AppendPong(nil, &f))
	// Output:
	// ping: true id: 42
	// pong: 810a000000000000000000000000002a0000000000000000
}

// A declaration that cannot be is refused with what clashes.
func ExampleNewFormat_refused() {
	_, err := wire.NewFormat("meter", wire.Layout{
		Magic:             []byte("MC"),
		Cmd:               wire.Field{Offset: 2, Size: 2},
		Flag:              wire.Field{Offset: 3, Size: 1},
		LengthFieldOffset: 4,
		LengthFieldLength: 4,
	})
	fmt.Println(err)
	// Output:
	// format "meter": cmd (bytes 2 to 3) and flag (byte 3) overlap
}

// The decoder of a Netty pipeline, with the arguments of its constructor.
func ExampleLengthFieldBasedFrameDecoder() {
	d, err := wire.NewLengthFieldBasedFrameDecoder(wire.BigEndian, 16, 0, 2, 0, 2, true)
	if err != nil {
		fmt.Println(err)
		return
	}
	in := []byte("\x00\x05hello\x00\x10" + "longer than that" + "\x00\x05world\x00")
	for {
		frame, n, err := d.Decode(in)
		switch {
		case err != nil:
			fmt.Println(err)
		case frame != nil:
			fmt.Printf("%q\n", frame)
		case n == 0:
			fmt.Println(len(in), "byte kept")
			return
		}
		in = in[n:]
	}
	// Output:
	// "hello"
	// Adjusted frame length exceeds 16: 18 - discarded
	// "world"
	// 1 byte kept
}
