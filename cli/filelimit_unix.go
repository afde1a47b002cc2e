//go:build unix

package cli

import "syscall"

// fileLimit is how many files this process may have open. Go has raised it to the hard limit. 0: not known.
func fileLimit() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return uint64(limit.Cur)
}
