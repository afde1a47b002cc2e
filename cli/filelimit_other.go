//go:build !unix

package cli

// fileLimit is 0: this system has no such limit.
func fileLimit() uint64 { return 0 }
