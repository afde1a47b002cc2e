package wire

// HasHeartbeat reports whether the format says which frame is a ping.
func (f *Format) HasHeartbeat() bool { return f.ping.given }

// EchoesPing reports whether a pong carries the payload of its ping, so that whoever pinged finds there what he sent.
func (f *Format) EchoesPing() bool {
	h := &f.declared.Heartbeat
	return f.ping.given && h.Ping.Payload == nil && f.length.size > 0 && (h.Pong == nil || h.Pong.EchoPayload)
}

// PongIsPing reports whether a ping is answered by itself, so that a pong looks like a ping: whoever waits for one takes the next ping for it.
func (f *Format) PongIsPing() bool { return f.ping.given && f.declared.Heartbeat.Pong == nil }

// HasPairing reports whether the format says which frames ask for an answer, and which are one.
func (f *Format) HasPairing() bool { return f.asks.given && f.answers.given }
