package client

import (
	"net"
	"testing"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// acker welcomes a client, and acknowledges its messages without allocating.
func acker(nc net.Conn) {
	var buf [1 << 16]byte
	var f wire.Frame
	var out []byte
	used, filled := 0, 0
	for {
		n, err := defaultDecoder().Next(buf[used:filled], &f)
		if err != nil {
			return
		}
		if n == 0 {
			if len(out) > 0 {
				if _, err := nc.Write(out); err != nil {
					return
				}
				out = out[:0]
			}
			filled = copy(buf[:], buf[used:filled])
			used = 0
			n, err := nc.Read(buf[filled:])
			if err != nil {
				return
			}
			filled += n
			continue
		}
		used += n
		switch f.Cmd {
		case wire.CmdHello:
			out, _ = wire.AppendWelcome(out, &wire.Welcome{Capabilities: wire.CapQoS, Window: 64})
		case wire.CmdPubRel:
			id, _ := wire.ParseAck(f.Payload)
			out = wire.AppendAck(out, wire.CmdPubComp, id)
		default:
			e, err := wire.ParseExt(&f)
			if err != nil {
				return
			}
			if e.QoS == 0 {
				continue // nobody waits for anything
			}
			ack := uint8(wire.CmdPubAck)
			if e.QoS == 2 {
				ack = wire.CmdPubRec
			}
			out = wire.AppendAck(out, ack, e.ID)
		}
	}
}

// TestPublishAllocs bounds what a message costs: its copy, its place in the queue, its receipt, and who waits.
func TestPublishAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("pools forget under the race detector")
	}
	addr := listen(t, acker)
	c, err := Dial(t.Context(), addr, Options{Session: &SessionOptions{ClientID: "device"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, payload := t.Context(), make([]byte, 64)
	for q, most := range map[uint8]float64{0: 0, 1: 16, 2: 24} {
		allocs := testing.AllocsPerRun(1000, func() {
			if err := c.Publish(ctx, 0x10, payload, q); err != nil {
				t.Fatal(err)
			}
		})
		t.Logf("QoS %d: %v allocations", q, allocs)
		if allocs > most {
			t.Errorf("%v allocations per message of QoS %d, want %v at the most", allocs, q, most)
		}
	}
}

func BenchmarkPublish(b *testing.B) {
	for _, bm := range []struct {
		name string
		qos  uint8
		many bool
	}{{"QoS1/one", 1, false}, {"QoS1/64", 1, true}, {"QoS2/64", 2, true}} {
		b.Run(bm.name, func(b *testing.B) {
			addr := listen(b, acker)
			c, err := Dial(b.Context(), addr, Options{Session: &SessionOptions{ClientID: "device"}})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			payload := make([]byte, 64)
			b.ReportAllocs()
			if !bm.many {
				for b.Loop() {
					if err := c.Publish(b.Context(), 0x10, payload, bm.qos); err != nil {
						b.Fatal(err)
					}
				}
				return
			}
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := c.Publish(b.Context(), 0x10, payload, bm.qos); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
