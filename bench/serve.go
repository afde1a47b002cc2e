package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// servePeer is a peer in a process of its own: a way to do it that anybody could write in Go.
func servePeer(ctx context.Context, which, addr, backend string) error {
	serve, ok := map[string]func(net.Conn, string){"splice": relay, "pong": pong}[which]
	if !ok {
		return fmt.Errorf("no peer %q", which)
	}
	freeOnSignal()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	for {
		nc, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go serve(nc, backend)
	}
}

// relay copies both ways. On Linux io.Copy between TCP connections is splice(2): the bytes do not pass through the process.
func relay(client net.Conn, backend string) {
	defer client.Close()
	server, err := net.Dial("tcp", backend)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(client, server)
}

// pong answers PINGs: it reads what there is, answers all of it in place, and writes once.
func pong(nc net.Conn, _ string) {
	defer nc.Close()
	const header = 10
	buf := make([]byte, 4<<10)
	held := 0
	for {
		n, err := nc.Read(buf[held:])
		if err != nil {
			return
		}
		all := buf[:held+n]
		used := 0
		for len(all)-used >= header {
			f := all[used:]
			if binary.BigEndian.Uint32(f) != 0x474F5052 || f[8] != 0x01 || f[9] != 0x01 {
				return
			}
			size := header + int(binary.BigEndian.Uint16(f[6:]))
			if size > len(buf) {
				return
			}
			if len(f) < size {
				break
			}
			f[8], f[9] = 0x02, 0x02
			used += size
		}
		if used > 0 {
			if _, err := nc.Write(all[:used]); err != nil {
				return
			}
		}
		held = copy(buf, all[used:])
	}
}
