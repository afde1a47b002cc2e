package transport

import (
	"sync/atomic"
	"time"
)

// options are a connection's Options. Others may take their place while it lives.
type options struct{ now atomic.Pointer[Options] }

func (o *options) writeTimeout() time.Duration { return o.now.Load().writeTimeout() }

func (o *options) high() int { return o.now.Load().high() }

func (o *options) readMax() int { return o.now.Load().readMax() }

func (c *goroutineConn) SetOptions(o *Options) { c.opt.now.Store(o) }
