package main

import (
	"encoding/binary"

	"github.com/panjf2000/gnet/v2"
)

const header = 10

// pongs is gnet's event handler: it answers all PINGs that have come with one write.
type pongs struct{ gnet.BuiltinEventEngine }

func serveGnet(addr string) error {
	return gnet.Run(new(pongs), "tcp://"+addr, gnet.WithNumEventLoop(1), gnet.WithTCPNoDelay(gnet.TCPNoDelay))
}

// OnTraffic implements gnet.EventHandler.
func (*pongs) OnTraffic(c gnet.Conn) gnet.Action {
	all, err := c.Peek(-1)
	if err != nil {
		return gnet.Close
	}
	used := 0
	for len(all)-used >= header {
		f := all[used:]
		if binary.BigEndian.Uint32(f) != 0x474F5052 || f[8] != 0x01 || f[9] != 0x01 {
			return gnet.Close
		}
		size := header + int(binary.BigEndian.Uint16(f[6:]))
		if len(f) < size {
			break
		}
		f[8], f[9] = 0x02, 0x02
		used += size
	}
	if used > 0 {
		if _, err := c.Write(all[:used]); err != nil {
			return gnet.Close
		}
		_, _ = c.Discard(used)
	}
	return gnet.None
}
