package main

import (
	"fmt"
	"net"
	"strconv"

	"github.com/aceld/zinx/zconf"
	"github.com/aceld/zinx/ziface"
	"github.com/aceld/zinx/znet"
)

// pongRouter answers a PING. A zinx server calls it for each frame, from one of its workers.
type pongRouter struct{ znet.BaseRouter }

// Handle implements ziface.IRouter.
func (*pongRouter) Handle(r ziface.IRequest) {
	frame := r.GetData()
	frame[8], frame[9] = 0x02, 0x02
	_ = r.GetConnection().Send(frame)
}

// cutter is zinx's decoder for GOPR: it gives the router whole frames, as messages with the frame's command for an id.
type cutter struct{}

// GetLengthField implements ziface.IDecoder.
func (cutter) GetLengthField() *ziface.LengthField {
	return &ziface.LengthField{MaxFrameLength: header + 65535, LengthFieldOffset: 6, LengthFieldLength: 2, LengthAdjustment: 2}
}

// Intercept implements ziface.IInterceptor.
func (cutter) Intercept(chain ziface.IChain) ziface.IcResp {
	m := chain.GetIMessage()
	m.SetMsgID(uint32(m.GetData()[8]))
	return chain.Proceed(chain.Request())
}

func serveZinx(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return fmt.Errorf("port %q: %w", port, err)
	}
	conf := *zconf.GlobalObject
	conf.Host, conf.TCPPort, conf.Mode = host, n, zconf.ServerModeTcp
	conf.MaxConn, conf.MaxPacketSize, conf.IOReadBuffSize = 20000, header+65535, 64<<10
	conf.LogIsolationLevel = 3
	s := znet.NewUserConfServer(&conf)
	s.SetDecoder(cutter{})
	s.AddRouter(0x01, new(pongRouter))
	s.Serve()
	return nil
}
