package handler

import (
	"testing"
	"testing/synctest"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// TestLateHello: a HELLO without a good token takes the place of a session only where its client is there to answer a PING; where it is not, the session is as it was.
func TestLateHello(t *testing.T) {
	const caps = wire.CapQoS | wire.CapResume | wire.CapPong
	synctest.Test(t, func(t *testing.T) {
		dial, _ := pipes()
		h := withSessions(t, dial, nil)
		say := func(caps wire.Capability, token []byte) *client {
			c := onPipe(t, h)
			c.send(hello(t, wire.Hello{ClientID: []byte("meter-1"), Capabilities: caps, Token: token}))
			return c
		}
		asked := func(c *client) (pong []byte) {
			t.Helper()
			f := c.frame()
			if f.Cmd != wire.CmdPing || f.Flag != wire.FlagReq || len(f.Payload) == wire.PingLen {
				t.Fatalf("got %q, want a PING that is no heartbeat's", f.Raw)
			}
			return wire.AppendFrame(nil, wire.CmdPong, wire.FlagRsp, f.Payload)
		}
		leave := func(c *client) {
			_ = c.Close()
			<-c.done
			synctest.Wait()
		}
		made := make([]byte, 16)

		first := say(caps, nil)
		w := first.welcome() // there is no session that could be lost
		leave(first)

		gone := say(caps, made)
		asked(gone)
		leave(gone)
		silent := say(caps, nil) // also without a token
		asked(silent)
		silent.expectError(wire.ErrorProtocol)
		silent.expectEnd()
		back := say(caps, w.Token)
		if w = back.welcome(); !w.Resumed {
			t.Fatal("the session is lost to a HELLO whose client was not there")
		}
		leave(back)

		there := say(caps, made)
		answer := asked(there)
		there.send(frame(wire.CmdPing, wire.FlagReq, "mine"))
		there.expect(frame(wire.CmdPong, wire.FlagRsp, "mine"))
		there.send(frame(wire.CmdPong, wire.FlagRsp, "of another")) // says nothing
		there.send(answer)
		if there.welcome().Resumed {
			t.Fatal("resumed with a token that was made up")
		}
		leave(there)

		mute := say(wire.CapQoS|wire.CapResume, made) // it can't be asked
		if mute.welcome().Resumed {
			t.Fatal("resumed with a token that was made up")
		}
		leave(mute)
	})
}
