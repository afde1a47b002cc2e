package handler

import (
	"net"
	"sync"
	"testing"
	"time"
)

// loopback serves each link of a backend with serve, on real sockets, until the test ends.
func loopback(t testing.TB, serve func(net.Conn)) (dial func() (net.Conn, error)) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var links sync.WaitGroup
	links.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			links.Go(func() { serve(nc) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		links.Wait()
	})
	return func() (net.Conn, error) { return net.Dial("tcp", ln.Addr().String()) }
}

// A countingLink is the network end of a link: it takes all that is written, and its backend says nothing.
type countingLink struct {
	out  sink
	pipe net.Conn // what reading waits for
	end  net.Conn
}

func (l *countingLink) dial() (net.Conn, error) {
	l.pipe, l.end = net.Pipe()
	return l, nil
}

func (l *countingLink) close() { _ = l.end.Close() }

func (l *countingLink) Read(b []byte) (int, error)         { return l.pipe.Read(b) }
func (l *countingLink) Write(b []byte) (int, error)        { return l.out.Write(b) }
func (l *countingLink) Close() error                       { return l.pipe.Close() }
func (l *countingLink) LocalAddr() net.Addr                { return l.out.LocalAddr() }
func (l *countingLink) RemoteAddr() net.Addr               { return l.out.RemoteAddr() }
func (l *countingLink) SetDeadline(t time.Time) error      { return l.pipe.SetDeadline(t) }
func (l *countingLink) SetReadDeadline(t time.Time) error  { return l.pipe.SetReadDeadline(t) }
func (l *countingLink) SetWriteDeadline(t time.Time) error { return l.pipe.SetWriteDeadline(t) }
