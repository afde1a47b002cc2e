// Package upstream carries frames to a group of backends, over connections that it keeps alive for them.
//
// A client connection takes a [Lease] from a [Group] and gives it frames; the lease finds a link (one connection to one backend), and finds another when
// that one dies. With session pooling, the only kind so far, a link is one client's from lease to end: the backend sees each client as a connection
// of its own, and nothing of one client ever reaches another.
//
//	config.go    what an operator sets
//	group.go     the group: one lock, and what can be done now
//	verbs.go     what an operator can tell it: pause, resume, drain, reconnect, enable, disable
//	govern.go    how that is carried out; renew.go: links renewed one by one
//	queue.go     who waits for a link
//	dial.go      links come and go: dials, failures, warm spares
//	connect.go   a connection to a backend, ready for frames; tls.go, local.go, how it is secured and from where it comes; proxyproto.go, what it is told of the client;
//	             muxed.go, links that are streams of few connections
//	pace.go      dials in a second; budget.go: links for clients whose links die young
//	discovery.go backends found by DNS; members.go: they come and go
//	backend.go   what is known of one backend: its links, its failures, when it may be dialled
//	policy.go    which backend is next: rota.go in turn, hash.go by the client; choose.go for requests, keyed.go for clients that have their own
//	judge.go     which backends are fit for new work: health/ says what is thought of one, fitness.go what is kept of it, probe.go looks at those without links,
//	             backup.go bounds what their backups take, pause.go cuts pauses short
//	lease.go     one client's hold on the group
//	client.go    whom it is for
//	withdraw.go  its end at a moment when nothing is unanswered
//	linkpeer.go  for clients that keep what they send, and are told of each link
//	link.go      one connection to a backend
//	reasons.go   why a link ended
//	events.go    what changes, for who wants to be told; trace.go, what became of requests
//	stat.go      a snapshot of all of it; times.go, how long things took
//
// Dials belong to the group, not to who asked: a link that was dialled for a client that has gone serves the next one. A backend's health is judged by dials and by
// spare links, which no client can touch; a link that dies under a client is held against that client first, so that one client whose frames make a
// backend hang up does not take the backend from all others.
package upstream

import "errors"

var (
	// ErrLost: the link to the backend died while requests were unanswered, or OnLoss says that a client ends with its link.
	ErrLost = errors.New("upstream link lost")
	// ErrUnstable: one link after the other died under the same client.
	ErrUnstable = errors.New("upstream links die under this client again and again")
	// ErrGroupClosed: the group is no more.
	ErrGroupClosed = errors.New("upstream group closed")
	// ErrEarly: a backend sent more on a link that no client has leased yet than a client's buffer holds.
	ErrEarly = errors.New("backend sent too much before a client was there")

	// ErrUnasked: a backend sent an answer that nobody asked for, so no later answer on that link can be trusted.
	ErrUnasked = errors.New("backend answered what nobody asked")
	// ErrAnswerCommand: a backend's answer has another command than the request, and StrictAnswers says that it must not.
	ErrAnswerCommand = errors.New("backend answered with another command than was asked")
	// ErrWait: a client's frames waited too long for room on a link.
	ErrWait = errors.New("no room on a link to a backend in time")
	// ErrBusy: too many clients wait for room on a link already.
	ErrBusy = errors.New("too many clients wait for room on a link")
	// ErrRequestTimeout: a backend did not answer in time.
	ErrRequestTimeout = errors.New("no answer from the backend in time")
	// ErrSlow: a client does not read the answers that it shares a link for.
	ErrSlow = errors.New("client does not read its answers")

	errRetired  = errors.New("link taken out of use")
	errReleased = errors.New("client has gone")
)

// Peer is the client on whose behalf a [Lease] exists. Its methods may be called from any goroutine, Frames from one at a time; none may block,
// nor call the lease's Send, nor close the group.
type Peer interface {
	// Frames delivers whole frames from the backend, back to back, n of them. run is valid during the call only. full: no more, please, until
	// Lease.Resume.
	Frames(run []byte, n int) (full bool)
	// Room tells that Send may be called again after it returned full. It may come before Send has returned, and once too often.
	Room()
	// Lost tells that the lease is no more, and why.
	Lost(cause error)
}
