//go:build !unix

package transport

// rawIO: elsewhere every connection is read and written by its own methods.
const rawIO = false

func (c *Conn) readRaw() (Next, error) { return c.readAny() }

func (c *Conn) readable(uintptr) bool { return true }

func (c *Conn) writable(uintptr) bool { return true }
