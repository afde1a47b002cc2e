package transport

import (
	"runtime"
	"slices"
	"sync"
)

// loops are the process's event loops. There are as many as there are connections for, one for each two processors at the most: what they serve keeps others busy, too.
// A loop ends with its last connection.
var loops struct {
	mu  sync.Mutex // guards all, and the number of connections of each loop
	all []*loop
}

// join returns the loop for one more connection, which must leave it.
func join() (*loop, error) {
	loops.mu.Lock()
	defer loops.mu.Unlock()
	var best *loop
	for _, l := range loops.all {
		if best == nil || l.conns < best.conns {
			best = l
		}
	}
	if best == nil || best.conns > 0 && len(loops.all) < runtime.GOMAXPROCS(0)/2 {
		l, err := newLoop()
		if err != nil {
			return nil, err
		}
		loops.all = append(loops.all, l)
		best = l
		go l.run()
	}
	best.conns++
	return best, nil
}

// leave counts a connection out, and returns true when it was the loop's last: no other will come.
func (l *loop) leave() (last bool) {
	loops.mu.Lock()
	defer loops.mu.Unlock()
	if l.conns--; l.conns > 0 {
		return false
	}
	loops.all = slices.DeleteFunc(loops.all, func(x *loop) bool { return x == l })
	return true
}

// Loops returns how many event loops the process has now, and how many of them read and write for several connections with one system call.
func Loops() (all, together int) {
	loops.mu.Lock()
	defer loops.mu.Unlock()
	for _, l := range loops.all {
		if l.uring != nil {
			together++
		}
	}
	return len(loops.all), together
}
