package transport

import (
	"sync/atomic"
	"time"
)

// options are a connection's Options. Others may take their place while it lives.
type options struct{ now atomic.Pointer[Options] }

func (o *options) writeTimeout() time.Duration { return o.now.Load().writeTimeout() }

func (o *options) high() int { return o.now.Load().high() }

// SetOptions has other options hold from now on; nil: all defaults. What is under way goes on as it was begun: a write that waits for the peer keeps its timeout
// until the peer takes something, and a Write that was full is drained when the unsent bytes have fallen to half of the new bound.
func (c *Conn) SetOptions(o *Options) { c.opt.now.Store(o) }
