package delivery

import (
	"math"
	"sync"
)

// crew does what may have to wait for a store, in goroutines of its own: a few, however many sessions want something done.
type crew struct {
	most int

	mu      sync.Mutex
	waiting []func()
	working int
	closed  bool
	wg      sync.WaitGroup
}

// do has a job done soon. It does not wait.
func (c *crew) do(job func()) { c.offer(math.MaxInt, job) }

// offer is do, unless so many jobs wait already.
func (c *crew) offer(most int, job func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) >= most || c.closed && c.working == 0 {
		return
	}
	c.waiting = append(c.waiting, job)
	if c.working < c.most {
		c.working++
		c.wg.Add(1)
		go c.work()
	}
}

func (c *crew) work() {
	defer c.wg.Done()
	c.mu.Lock()
	for len(c.waiting) > 0 {
		job := c.waiting[0]
		c.waiting[0] = nil
		c.waiting = c.waiting[1:]
		c.mu.Unlock()
		job()
		c.mu.Lock()
	}
	c.waiting = nil
	c.working--
	c.mu.Unlock()
}

// wait returns when all that was to be done is done.
func (c *crew) wait() { c.wg.Wait() }

// close is wait, and nothing is done any more but what that leads to.
func (c *crew) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.wait()
}
