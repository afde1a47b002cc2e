package main

import (
	"encoding/binary"
	"errors"
)

// hello is the payload of HELLO.
type hello struct {
	caps       uint8
	expiry     uint32 // seconds
	client     []byte
	token      []byte
	credential []byte
}

func (h hello) append(dst []byte) []byte {
	dst = append(dst, 1, h.caps)
	dst = binary.BigEndian.AppendUint32(dst, h.expiry)
	dst = append(append(dst, byte(len(h.client))), h.client...)
	dst = append(append(dst, byte(len(h.token))), h.token...)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(h.credential)))
	return append(dst, h.credential...)
}

var errHello = errors.New("a HELLO that ends too soon, or too late")

func parseHello(b []byte) (h hello, err error) {
	cut := func(n int) []byte {
		if n > len(b) {
			err = errHello
			n = 0
		}
		head := b[:n]
		b = b[n:]
		return head
	}
	number := func(n int) (v int) {
		for _, c := range cut(n) {
			v = v<<8 | int(c)
		}
		return v
	}
	if version := number(1); version != 1 {
		return h, errors.New("a HELLO of another version")
	}
	h.caps = uint8(number(1))
	h.expiry = uint32(number(4))
	h.client = cut(number(1))
	h.token = cut(number(1))
	h.credential = cut(number(2))
	if len(b) > 0 {
		err = errHello
	}
	return h, err
}

// welcome is the payload of WELCOME.
type welcome struct {
	resumed   bool
	caps      uint8
	heartbeat uint16 // seconds
	idle      uint16 // seconds
	expiry    uint32 // seconds
	window    uint16
	last      uint32 // the highest id received from who said HELLO
	token     []byte
}

func (w welcome) append(dst []byte) []byte {
	var status uint8
	if w.resumed {
		status = 1
	}
	dst = append(dst, 1, status, w.caps)
	dst = binary.BigEndian.AppendUint16(dst, w.heartbeat)
	dst = binary.BigEndian.AppendUint16(dst, w.idle)
	dst = binary.BigEndian.AppendUint32(dst, w.expiry)
	dst = binary.BigEndian.AppendUint16(dst, w.window)
	dst = binary.BigEndian.AppendUint32(dst, w.last)
	return append(append(dst, byte(len(w.token))), w.token...)
}

// welcomeLen is the length of a WELCOME's payload without its token.
const welcomeLen = 18

func parseWelcome(b []byte) (w welcome, err error) {
	if len(b) < welcomeLen || len(b) != welcomeLen+int(b[welcomeLen-1]) || b[0] != 1 || b[1] > 1 {
		return w, errors.New("not a WELCOME of version 1")
	}
	return welcome{
		resumed:   b[1] == 1,
		caps:      b[2],
		heartbeat: binary.BigEndian.Uint16(b[3:]),
		idle:      binary.BigEndian.Uint16(b[5:]),
		expiry:    binary.BigEndian.Uint32(b[7:]),
		window:    binary.BigEndian.Uint16(b[11:]),
		last:      binary.BigEndian.Uint32(b[13:]),
		token:     b[welcomeLen:],
	}, nil
}
