package transport

import "net"

// Socket implements Conn.
func (c *goroutineConn) Socket(do func(*net.TCPConn) error) error {
	nc := c.nc
	for {
		if tcp, ok := nc.(*net.TCPConn); ok {
			return do(tcp)
		}
		over, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		nc = over.NetConn()
	}
}
