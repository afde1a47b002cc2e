package upstream

// Lease is one client's hold on a [Group]. Send is called by the client's goroutine; the other methods from any.
type Lease interface {
	// Send passes on n whole frames, back to back, of which asks are requests: under request pooling Config.MaxInflight at the most. It copies what it can't send at once, and never blocks. full: no
	// more, please, until Peer.Room, which may be called before Send has returned. The frames are taken in any case; a lease that has ended drops them.
	Send(frames []byte, n, asks int) (full bool)
	// Resume goes on reading from the backend after Peer.Frames returned full. It may be called before Frames has returned.
	Resume()
	// Unanswered returns the number of requests whose answers have not come, those that wait to be sent included.
	Unanswered() int
	// Waiting says whether frames that were sent wait for a link, or for room on one.
	Waiting() bool
	// Held returns how many bytes of memory those frames take.
	Held() int
	// Settled says whether all that was sent has gone to a link, and all that was asked is answered, to the end of the call of Peer.Frames.
	Settled() bool
	// Withdraw ends the lease, as Close does, unless something that went to a link is unanswered: then it does nothing and returns false. held is what waited for a
	// link, and has gone nowhere: it is the caller's, to be sent by another lease.
	Withdraw() (held []byte, ok bool)
	// Backend returns the backend that serves the client now; "": none does.
	Backend() string
	// Close ends the lease: the client has gone. What went to a link is still sent to the backend, within the two seconds of a client.Conn; what waits for a link is
	// dropped. The peer is not told, but a call to it that is under way may still finish.
	Close()
}

// Interface guards.
var (
	_ Lease = (*session)(nil)
	_ Lease = (*pooled)(nil)
)
