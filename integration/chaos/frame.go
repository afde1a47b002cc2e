package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// The protocol as docs/protocol.md has it, written a second time: were the gateway's own encoder and decoder used, both ends would share their mistakes.

const (
	cmdPing    = 0x01
	cmdPong    = 0x02
	cmdHello   = 0x03
	cmdWelcome = 0x04
	cmdPubAck  = 0x05
	cmdPubRec  = 0x06
	cmdPubRel  = 0x07
	cmdPubComp = 0x08
	cmdGoAway  = 0x09
	cmdError   = 0x0A
	cmdBye     = 0x0B
	cmdApp     = 0x10

	flagReq = 0x01
	flagRsp = 0x02
	flagDup = 0x10
	flagID  = 0x20

	capQoS    = 0x01
	capResume = 0x04
	capPong   = 0x08 // we answer the gateway's PINGs
)

// A frame of the protocol. qos, dup and id are out of the flag and the payload already.
type frame struct {
	cmd     uint8
	flag    uint8 // what is left of it: REQ, RSP
	qos     uint8
	dup     bool
	id      uint32 // 0: it has none
	payload []byte // valid until the next frame is read
}

// A stream is one connection, read and written by frames. One goroutine reads, one writes.
type stream struct {
	net.Conn
	plain bool // flags mean nothing
	r     *bufio.Reader
	buf   []byte
	out   []byte
}

func newStream(nc net.Conn, plain bool) *stream {
	return &stream{Conn: nc, plain: plain, r: bufio.NewReaderSize(nc, 16<<10)}
}

// next reads a frame; it waits no longer than within. 0: for ever.
func (s *stream) next(within time.Duration) (f frame, err error) {
	if within > 0 {
		if err := s.SetReadDeadline(time.Now().Add(within)); err != nil {
			return f, err
		}
	}
	var header [10]byte
	if _, err := io.ReadFull(s.r, header[:]); err != nil {
		return f, err
	}
	if binary.BigEndian.Uint32(header[:]) != 0x474F5052 || binary.BigEndian.Uint16(header[4:]) != 1 {
		return f, fmt.Errorf("%x is no header of a frame", header)
	}
	n := int(binary.BigEndian.Uint16(header[6:]))
	if cap(s.buf) < n {
		s.buf = make([]byte, n)
	}
	f.cmd, f.flag, f.payload = header[8], header[9], s.buf[:n]
	if _, err := io.ReadFull(s.r, f.payload); err != nil {
		return f, err
	}
	if s.plain {
		return f, nil
	}
	return f, f.extend()
}

// extend takes the extension fields out of flag and payload.
func (f *frame) extend() error {
	if f.flag&0xC0 != 0 {
		return fmt.Errorf("flag 0x%02X: no CRC was agreed on, and 0x80 is reserved", f.flag)
	}
	f.qos, f.dup = f.flag>>2&3, f.flag&flagDup != 0
	if f.flag&flagID != 0 {
		if len(f.payload) < 4 {
			return errors.New("a frame with an id that ends before it")
		}
		f.id, f.payload = binary.BigEndian.Uint32(f.payload), f.payload[4:]
		if f.id == 0 {
			return errors.New("a frame with the id 0")
		}
	}
	if f.qos == 3 || f.qos > 0 && f.id == 0 {
		return fmt.Errorf("flag 0x%02X: QoS %d, id %d", f.flag, f.qos, f.id)
	}
	f.flag &= flagReq | flagRsp
	return nil
}

// more says whether the next frame has begun to come.
func (s *stream) more() bool { return s.r.Buffered() > 0 }

// put adds a frame to what flush writes.
func (s *stream) put(f frame) {
	flag, n := f.flag, len(f.payload)
	if !s.plain {
		flag |= f.qos << 2
		if f.dup {
			flag |= flagDup
		}
		if f.id != 0 {
			flag |= flagID
			n += 4
		}
	}
	s.out = append(s.out, 'G', 'O', 'P', 'R', 0, 1, byte(n>>8), byte(n), f.cmd, flag)
	if flag&flagID != 0 && !s.plain {
		s.out = binary.BigEndian.AppendUint32(s.out, f.id)
	}
	s.out = append(s.out, f.payload...)
}

// putAck adds one of the four acknowledgements.
func (s *stream) putAck(cmd uint8, id uint32) {
	s.out = append(s.out, 'G', 'O', 'P', 'R', 0, 1, 0, 4, cmd, 0)
	s.out = binary.BigEndian.AppendUint32(s.out, id)
}

// ackID reads the payload of an acknowledgement; 0: it is none.
func (f *frame) ackID() uint32 {
	if len(f.payload) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(f.payload)
}

// flush writes what was put.
func (s *stream) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	if err := s.SetWriteDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	_, err := s.Write(s.out)
	s.out = s.out[:0]
	return err
}
