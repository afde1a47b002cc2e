package authenticate

import (
	"context"
	"runtime"
)

// hashing has a place for each hash that is worked out, in the whole process: half of the processors are left to the connections that live, however many clients say HELLO
// at once.
var hashing = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))

// inSlot does something that takes a processor for some time, when there is a place for it.
func inSlot(ctx context.Context, do func()) error {
	select {
	case hashing <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-hashing }()
	if ctx.Err() != nil { // both had come
		return context.Cause(ctx)
	}
	do()
	return nil
}
