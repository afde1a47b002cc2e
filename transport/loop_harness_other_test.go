//go:build !linux

package transport

// heldOnLoop is not called: there is no event loop.
func heldOnLoop(Conn) int { return 0 }

// writesOnLoop is not called either.
func writesOnLoop(Conn) bool { return false }
