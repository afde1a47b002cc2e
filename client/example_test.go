package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
	"github.com/caddy-gopr/caddy-gopr/keepalive"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Connect, ask, and hang up.
func Example() {
	gateway := startPeer()
	defer gateway.stop()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, gateway.addr, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	answer, err := c.Request(ctx, 0x10, []byte("hello"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("answer 0x%02X: %s\n", answer.Cmd, answer.Payload)
	// Output: answer 0x10: hello
}

// A device that runs for years: it starts before its gateway does, and its connection comes back as often
// as it is lost.
func ExampleClient_Run() {
	gateway := startPeer()
	defer gateway.stop()

	c, err := client.New(gateway.addr, client.Options{
		Heartbeat: keepalive.Heartbeat{Interval: 20 * time.Second},
		OnState: func(change client.Change) {
			fmt.Println(change.From, "→", change.To)
		},
	})
	if err != nil {
		log.Fatal(err) // the options are wrong, and the error says which
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- c.Run(ctx) }()

	if err := c.Wait(ctx, client.Connected); err != nil {
		log.Fatal(err)
	}
	if err := c.Send(ctx, 0x20, 0, []byte("temperature 21.5")); err != nil {
		log.Print(err)
	}

	cancel() // the end of the context is the end of the Client
	fmt.Println(<-ended)
	// Output:
	// disconnected → connecting
	// connecting → connected
	// connected → closed
	// client closed: context canceled
}

// Frames that come unasked are given to OnFrame. One with FlagReq asks for an answer.
func ExampleOptions_onFrame() {
	gateway := startPeer()
	defer gateway.stop()

	var c *client.Client
	c, err := client.New(gateway.addr, client.Options{
		OnFrame: func(f wire.Frame) {
			fmt.Printf("asked by the gateway: %s\n", f.Payload)
			if err := c.TrySend(uint8(f.Cmd), wire.FlagRsp, []byte("all is well")); err != nil {
				log.Print(err)
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	go c.Run(context.Background()) // until Close
	defer c.Close()

	if err := c.Wait(context.Background(), client.Connected); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("answered by the device: %s\n", gateway.ask("how are you?"))
	// Output:
	// asked by the gateway: how are you?
	// answered by the device: all is well
}

// What an error of a request says, and what may be done about it.
func ExampleClient_Request() {
	gateway := startPeer()
	defer gateway.stop()
	c, err := client.Dial(context.Background(), gateway.addr, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err = c.Request(ctx, commandHangUp, nil)
	switch {
	case err == nil:
		fmt.Println("done")
	case errors.Is(err, client.ErrNotConnected):
		fmt.Println("not sent: wait for Connected, and ask again")
	case errors.Is(err, client.ErrLost):
		fmt.Println("may have been done: ask again only if twice is as good as once")
	case errors.Is(err, context.DeadlineExceeded):
		fmt.Println("took too long; a late answer is nobody's")
	}
	// Output: may have been done: ask again only if twice is as good as once
}

// Send waits while the peer is behind. A program that would rather drop than wait uses TrySend.
func ExampleClient_TrySend() {
	gateway := startPeer()
	defer gateway.stop()
	c, err := client.Dial(context.Background(), gateway.addr, client.Options{Pending: 64 << 10})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	switch err := c.TrySend(0x20, 0, []byte("temperature 21.5")); {
	case err == nil:
		fmt.Println("on its way")
	case errors.Is(err, client.ErrFull), errors.Is(err, client.ErrNotConnected):
		fmt.Println("dropped; the next reading will do")
	}
	// Output: on its way
}

// How long the peer takes, now and in the average of the heartbeat.
func ExampleClient_Ping() {
	gateway := startPeer()
	defer gateway.stop()
	c, err := client.Dial(context.Background(), gateway.addr, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	rtt, err := c.Ping(context.Background())
	fmt.Println(rtt > 0, err)
	fmt.Println(c.Status().RTT) // no heartbeat yet
	// Output:
	// true <nil>
	// 0s
}

// Log in whenever the connection is another than before. OnState must not wait for an answer, since it holds up
// the goroutine that would read it: so it starts one.
func ExampleOptions_onState() {
	gateway := startPeer()
	defer gateway.stop()

	var c *client.Client
	in := make(chan string)
	logIn := func() {
		answer, err := c.Request(context.Background(), 0x11, []byte("device 42"))
		if err != nil {
			log.Print(err) // lost again: there will be another connection, and another call
			return
		}
		in <- string(answer.Payload)
	}
	c, err := client.New(gateway.addr, client.Options{
		Reconnect: client.Reconnect{Initial: 10 * time.Millisecond},
		OnState: func(change client.Change) {
			if change.To == client.Connected {
				go logIn()
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	go c.Run(context.Background())
	defer c.Close()

	fmt.Println("logged in:", <-in)
	gateway.hangUp()
	fmt.Println("logged in:", <-in)
	fmt.Println("connections:", c.Status().Connects)
	// Output:
	// logged in: device 42
	// logged in: device 42
	// connections: 2
}

// The other side can be made of a Conn, too: an echo server in a few lines.
func ExampleConn() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error)
	go func() {
		nc, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		var e echo
		e.Conn = client.NewConn(nc, &client.ConnConfig{Limits: &keepalive.Limits{Idle: 45 * time.Second, Frame: 10 * time.Second}}, &e)
		served <- e.Conn.Serve(context.Background())
	}()

	c, err := client.Dial(context.Background(), l.Addr().String(), client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	answer, err := c.Request(context.Background(), 0x10, []byte("echo"))
	fmt.Printf("%s %v\n", answer.Payload, err)
	c.Close()
	l.Close()
	fmt.Println(<-served)
	// Output:
	// echo <nil>
	// EOF
}

// echo is a client.Receiver that answers each request with its payload.
type echo struct {
	*client.Conn
	answers []byte // of one piece
}

func (e *echo) Frame(_ []byte, _, _ int, f *wire.Frame) {
	if f.Flag&wire.FlagReq != 0 {
		e.answers = wire.AppendFrame(e.answers, uint8(f.Cmd), wire.FlagRsp, f.Payload)
	}
}

// Flush sends the answers of a piece in one write. A peer that does not read its answers is closed by the write timeout; until then
// a server that cares for its memory would return false when Write says full, and resume when Drained is called.
func (e *echo) Flush([]byte) (more bool) {
	_, _ = e.Write(e.answers)
	e.answers = e.answers[:0]
	return true
}

func (e *echo) Drained() {}
