package client

import (
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/keepalive"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// TestAnswerLikeAPong: of a format whose pong is always the same frame, an answer may look just like it. It is taken for the pong while one is awaited, and
// else it is the receiver's.
func TestAnswerLikeAPong(t *testing.T) {
	format, err := wire.NewFormat("checks", wire.Layout{
		LengthFieldLength: 1,
		Heartbeat:         wire.Heartbeat{Ping: wire.Match{Payload: []byte("ping")}, Pong: &wire.Reply{Frame: []byte("\x011")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		beat *keepalive.Heartbeat
		want []string
	}{
		{"no heartbeat", nil, []string{"\x011", "\x011"}},
		{"one ping is out", &keepalive.Heartbeat{Interval: 30 * time.Second}, []string{"\x011"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				rec := &recorder{}
				c := NewConn(ours, &ConnConfig{Format: format, Heartbeat: tt.beat}, struct{ Receiver }{rec}) // no PongReceiver
				done := make(chan error, 1)
				go func() { done <- c.Serve(t.Context()) }()
				go func() { _, _ = io.Copy(io.Discard, theirs) }()
				time.Sleep(40 * time.Second)
				if _, err := theirs.Write([]byte("\x011\x011")); err != nil {
					t.Error(err)
				}
				synctest.Wait()
				c.Close(nil)
				<-done
				_ = theirs.Close()
				if !slices.Equal(rec.frames, tt.want) {
					t.Errorf("the receiver got %q, want %q", rec.frames, tt.want)
				}
			})
		})
	}
}
