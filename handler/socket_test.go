package handler

import (
	"crypto/tls"
	"net"
	"testing"

	"github.com/mholt/caddy-l4/layer4"
	"go.uber.org/zap"
)

// A client behind TLS within TLS is who the inner one says: that is the one nearest to the protocol.
func TestClientOf(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	cx := layer4.WrapConnection(ours, nil, zap.NewNop())
	if c := clientOf(cx); c.TLS != nil || c.Source != ours.RemoteAddr() || c.Local != ours.LocalAddr() {
		t.Errorf("plain TCP: %+v", c)
	}
	outer, inner := new(tls.ConnectionState), new(tls.ConnectionState)
	cx.SetVar(layer4.TLSConnectionStatesVarName, []*tls.ConnectionState{outer, inner})
	if c := clientOf(cx); c.TLS != inner {
		t.Errorf("TLS in TLS: %+v", c)
	}
}
