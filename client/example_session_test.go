package client_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"github.com/caddy-gopr/caddy-gopr/client"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Publish what must arrive, and be told what must not be missed.
func ExampleClient_Publish() {
	gateway := startGateway()
	defer gateway.Close()

	came := make(chan string)
	ctx := context.Background()
	c, err := client.Dial(ctx, gateway.Addr().String(), client.Options{
		Session: &client.SessionOptions{
			ClientID:  "device-42",
			OnMessage: func(m client.Message) { came <- string(m.Payload) }, // acknowledged when it returns
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	if err := c.Publish(ctx, 0x20, []byte("temperature 21.5"), 2); err != nil {
		log.Fatal(err)
	}
	fmt.Println("the gateway answers for it")
	fmt.Println("came:", <-came)
	// Output:
	// the gateway answers for it
	// came: thank you
}

// One goroutine keeps many messages under way: Enqueue returns when a message is in the queue, and its Receipt tells when it is acknowledged.
func ExampleClient_Enqueue() {
	gateway := startGateway()
	defer gateway.Close()

	ctx := context.Background()
	c, err := client.Dial(ctx, gateway.Addr().String(), client.Options{Session: &client.SessionOptions{ClientID: "device-42"}})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	var receipts []*client.Receipt
	for i := range 100 {
		r, err := c.Enqueue(ctx, 0x20, fmt.Appendf(nil, "reading %d", i), 1)
		if err != nil {
			log.Fatal(err)
		}
		receipts = append(receipts, r)
	}
	for _, r := range receipts {
		if err := r.Wait(ctx); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(len(receipts), "are acknowledged")
	// Output: 100 are acknowledged
}

// startGateway listens for one client: it acknowledges what that publishes, and thanks it for the first message.
func startGateway() net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		var g exampleGateway
		g.Conn = client.NewConn(nc, nil, &g)
		_ = g.Serve(context.Background())
	}()
	return l
}

type exampleGateway struct {
	*client.Conn
	out    []byte
	thanks bool
}

func (g *exampleGateway) Frame(_ []byte, _, _ int, f *wire.Frame) {
	switch {
	case f.Cmd == wire.CmdHello:
		g.out, _ = wire.AppendWelcome(g.out, &wire.Welcome{Capabilities: wire.CapQoS, Window: 8})
	case f.Cmd == wire.CmdPubRel:
		id, _ := wire.ParseAck(f.Payload)
		g.out = wire.AppendAck(g.out, wire.CmdPubComp, id)
	case f.Cmd >= wire.CmdApp:
		message, err := wire.ParseExt(f)
		if err != nil {
			log.Fatal(err)
		}
		ack := uint8(wire.CmdPubAck)
		if message.QoS == 2 {
			ack = wire.CmdPubRec
		}
		g.out = wire.AppendAck(g.out, ack, message.ID)
		if !g.thanks {
			g.thanks = true
			g.out, _ = wire.AppendExt(g.out, 0x30, &wire.Ext{QoS: 1, ID: 1, Payload: []byte("thank you")})
		}
	}
}

func (g *exampleGateway) Flush([]byte) (more bool) {
	_, _ = g.Write(g.out)
	g.out = g.out[:0]
	return true
}

func (g *exampleGateway) Drained() {}
