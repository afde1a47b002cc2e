package upstream

import (
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
)

// maxDialing is how many dials to one backend may be under way at once. After a failure it is one, and doubles with each success: a backend that comes
// back meets its clients a few at a time.
const maxDialing = 64

// backend is what a group knows of one backend. The group's lock guards all of it.
type backend struct {
	name          string // as in the configuration
	network, addr string

	links   map[*link]struct{} // all that are up
	spare   []*link            // those without a client, the one used last at the end
	dialing int
	window  int // how many dials may be under way at once

	retry  *client.Retry
	failed time.Time // when the last failure was counted
	upAt   time.Time // since when it has been up without a failure; zero: it is not
	err    error     // why it failed last

	dials, dialErrors, lost uint64 // in all
}

// load is the number of clients it serves, or is about to.
func (b *backend) load() int { return len(b.links) - len(b.spare) + b.dialing }

// fit says whether a link to it may be dialled now.
func (b *backend) fit(now time.Time, maxLinks int) bool {
	return b.dialing < b.window && (maxLinks == 0 || len(b.links)+b.dialing < maxLinks) && !now.Before(b.retry.NextAt())
}

// succeeded notes a dial that worked.
func (b *backend) succeeded(now time.Time) {
	b.window = min(2*b.window, maxDialing)
	if b.upAt.IsZero() {
		b.upAt = now
		b.retry.Up(now)
	}
}

// fail notes a failure of something that began at the given time: a dial, or a link without a client. Things that fail together are one failure: what
// began before the last counted one says nothing new. It returns whether it was counted.
func (b *backend) fail(now, began time.Time, err error) bool {
	if began.Before(b.failed) {
		return false
	}
	b.err = err
	b.failed, b.window = now, 1
	if b.upAt.IsZero() {
		b.retry.Failed(now)
	} else {
		b.retry.Down(now)
	}
	b.upAt = time.Time{}
	return true
}

// state is the backend's, in the words of client.State.
func (b *backend) state(now time.Time, attempts int) string {
	switch {
	case !b.upAt.IsZero():
		return "connected"
	case b.dialing > 0 && b.failed.IsZero():
		return "connecting"
	case now.Before(b.retry.NextAt()) && attempts > 0 && b.retry.Failures() > 0 && b.retry.Failures()%attempts == 0:
		return "paused"
	case b.failed.IsZero():
		return "disconnected"
	default:
		return "reconnecting"
	}
}

func (b *backend) takeSpare() *link {
	l := b.spare[len(b.spare)-1]
	b.spare[len(b.spare)-1] = nil
	b.spare = b.spare[:len(b.spare)-1]
	return l
}

func (b *backend) dropSpare(l *link) bool {
	for i, s := range b.spare {
		if s == l {
			b.spare = append(b.spare[:i], b.spare[i+1:]...)
			return true
		}
	}
	return false
}
