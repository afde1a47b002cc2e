package upstream_test

import (
	"bufio"
	"fmt"
	"io"
	"net"

	"github.com/caddy-gopr/caddy-gopr/upstream"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// printer is a client that prints what its backend sends.
type printer struct{ done chan struct{} }

func (p *printer) Frames(run []byte, n int) (full bool) {
	fmt.Printf("%d frame: %s\n", n, run[wire.HeaderLen:])
	close(p.done)
	return false
}

func (p *printer) Room()            {}
func (p *printer) Lost(cause error) { fmt.Println("lost:", cause) }

// A client leases a link and sends a request. Which backend answers, and over which connection, is the group's to see to.
func Example() {
	backend, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer backend.Close()
	go greet(backend)

	group, err := upstream.NewGroup(upstream.Config{
		Backends: []string{backend.Addr().String()},
		Policy:   upstream.LeastConn,
		MinLinks: -1, // no warm links
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer group.Close()

	client := &printer{done: make(chan struct{})}
	lease := group.Lease(client, upstream.Client{})
	defer lease.Close()
	lease.Send(wire.AppendFrame(nil, 0x10, wire.FlagReq, []byte("world")), 1, 1)
	<-client.done
	fmt.Println("unanswered:", lease.Unanswered())
	// Output:
	// 1 frame: hello, world
	// unanswered: 0
}

// greet answers the first request of each connection.
func greet(backend net.Listener) {
	for {
		nc, err := backend.Accept()
		if err != nil {
			return
		}
		r := bufio.NewReader(nc)
		if header, err := r.Peek(wire.HeaderLen); err == nil {
			frame, err := r.Peek(wire.HeaderLen + int(header[6])<<8 + int(header[7]))
			if err == nil {
				_, _ = nc.Write(wire.AppendFrame(nil, frame[8], wire.FlagRsp, append([]byte("hello, "), frame[wire.HeaderLen:]...)))
			}
		}
		_, _ = io.Copy(io.Discard, r) // until the other side closes
		nc.Close()
	}
}
