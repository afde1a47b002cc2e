//go:build !unix

package transport

// rawIO: elsewhere every connection is read and written by its own methods.
const rawIO = false

func (c *goroutineConn) readRaw() (Next, error) { return c.readAny() }

func (c *goroutineConn) readable(uintptr) bool { return true }

func (c *goroutineConn) writable(uintptr) bool { return true }
