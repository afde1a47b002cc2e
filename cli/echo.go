package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
)

// echoArgs are the arguments of echo.
type echoArgs struct {
	listen  string
	verbose bool
}

// echo is a backend that answers each request with its payload, and each PING, until it is interrupted.
func echo(ctx context.Context, a echoArgs, std stdio) (int, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", a.listen)
	if err != nil {
		return exitUsage, err
	}
	fmt.Fprintf(std.out, "listening on %s\n", ln.Addr())
	e := newEchoServer(a.verbose, std.out)
	e.serve(ctx, ln)
	fmt.Fprintln(std.out, e.summary())
	return exitOK, nil
}

// echoServer answers on any number of connections.
type echoServer struct {
	connections, rejected        atomic.Int64
	pings, requests, oneWay      atomic.Int64
	bytesIn, bytesOut, acceptErr atomic.Int64

	mu  sync.Mutex // guards out
	out io.Writer  // nil unless verbose
}

func newEchoServer(verbose bool, out io.Writer) *echoServer {
	e := new(echoServer)
	if verbose {
		e.out = out
	}
	return e
}

// serve answers until ctx ends, and closes ln and all connections.
func (e *echoServer) serve(ctx context.Context, ln net.Listener) {
	var conns sync.WaitGroup
	defer conns.Wait()
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	for {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			conns.Go(func() { e.answer(ctx, nc) })
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		default: // out of descriptors, most likely: the next may find one again
			e.acceptErr.Add(1)
			e.note(nil, "cannot accept: "+err.Error())
			sleep(ctx, acceptPause)
		}
	}
}

// acceptPause is how long a listener that cannot accept waits to try again.
const acceptPause = 100 * time.Millisecond

// answer serves one connection until it ends.
func (e *echoServer) answer(ctx context.Context, nc net.Conn) {
	e.connections.Add(1)
	s := &echoConn{server: e}
	c := client.NewConn(nc, nil, s)
	s.conn, s.remote = c, nc.RemoteAddr()
	e.note(s.remote, "connected")
	err := c.Serve(ctx)
	switch {
	case isReject(err):
		e.rejected.Add(1)
		e.note(s.remote, "closed: "+err.Error())
	case errors.Is(err, io.EOF):
		e.note(s.remote, "closed by the peer")
	case ctx.Err() == nil:
		e.note(s.remote, "lost: "+err.Error())
	}
}

// note prints a line, where there is somebody to read it.
func (e *echoServer) note(remote net.Addr, line string) {
	if e.out == nil {
		return
	}
	if remote != nil {
		line = remote.String() + "  " + line
	}
	e.print([]byte(line + "\n"))
}

// print prints whole lines of one connection together.
func (e *echoServer) print(lines []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, _ = e.out.Write(lines)
}

func (e *echoServer) summary() string {
	s := fmt.Sprintf("%s: %s and %s answered, %s, %s in, %s out",
		plural(e.connections.Load(), "connection"), plural(e.requests.Load(), "request"), plural(e.pings.Load(), "ping"),
		plural(e.oneWay.Load(), "frame")+" that asked for nothing", plural(e.bytesIn.Load(), "byte"), plural(e.bytesOut.Load(), "byte"))
	if n := e.rejected.Load(); n > 0 {
		s += ", " + plural(n, "connection") + " rejected"
	}
	if n := e.acceptErr.Load(); n > 0 {
		s += ", " + plural(n, "connection") + " not accepted"
	}
	return s
}

// sleep waits, and no longer than ctx.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
