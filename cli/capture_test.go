package cli

import (
	"context"
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// capture is traffic as tcpdump would have captured it: a file of the format pcap, of TCP connections over IPv4.
type capture struct {
	mu   sync.Mutex
	file []byte
	next uint16 // the client's port of the next connection
}

func newCapture() *capture {
	c := &capture{next: 40000}
	for _, v := range []uint32{0xA1B2C3D4, 2 | 4<<16, 0, 0, 65535, 101} { // 101: packets are IP
		c.file = binary.LittleEndian.AppendUint32(c.file, v)
	}
	return c
}

// tcpConn is a captured connection to a port.
type tcpConn struct {
	capture        *capture
	client, server uint16
	seq            [2]uint32 // of the client and of the server
}

func (c *capture) connect(port uint16) *tcpConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	conn := &tcpConn{capture: c, client: c.next, server: port, seq: [2]uint32{1000, 2000}}
	conn.packet(0, 0x02, nil) // SYN
	conn.packet(1, 0x12, nil) // SYN, ACK
	return conn
}

// send captures a segment; from is 0 for the client and 1 for the server.
func (c *tcpConn) send(from int, segment []byte) {
	c.capture.mu.Lock()
	defer c.capture.mu.Unlock()
	for len(segment) > 60000 {
		c.packet(from, 0x18, segment[:60000])
		segment = segment[60000:]
	}
	c.packet(from, 0x18, segment) // PSH, ACK
}

func (c *tcpConn) packet(from int, flags byte, data []byte) {
	ports := [2]uint16{c.client, c.server}
	size := 20 + 20 + len(data)
	b := c.capture.file
	packets := uint32(len(b)) // any time that grows
	for _, v := range []uint32{1_700_000_000, packets % 1_000_000, uint32(size), uint32(size)} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	b = append(b, 0x45, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(size))
	b = append(b, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, byte(1+from), 10, 0, 0, byte(2-from))
	b = binary.BigEndian.AppendUint16(b, ports[from])
	b = binary.BigEndian.AppendUint16(b, ports[1-from])
	b = binary.BigEndian.AppendUint32(b, c.seq[from])
	b = binary.BigEndian.AppendUint32(b, c.seq[1-from])
	b = append(b, 5<<4, flags, 0xFF, 0xFF, 0, 0, 0, 0)
	c.capture.file = append(b, data...)
	c.seq[from] += uint32(len(data)) + uint32(flags>>1&1) // a SYN counts as well
}

// write writes the file.
func (c *capture) write(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "capture.pcap")
	if err := os.WriteFile(name, c.file, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// dial dials like net.Dialer, and captures what the connection carries, as a connection to that port.
func (c *capture) dial(port uint16) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return capturedConn{nc, c.connect(port)}, nil
	}
}

type capturedConn struct {
	net.Conn
	to *tcpConn
}

func (c capturedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.to.send(1, p[:n])
	}
	return n, err
}

func (c capturedConn) Write(p []byte) (int, error) {
	c.to.send(0, p) // before the peer can answer
	return c.Conn.Write(p)
}
