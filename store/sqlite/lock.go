package sqlite

import (
	"database/sql/driver"
	"errors"
)

// errInUse is of a file that another process has.
var errInUse = errors.New("another process has this file open: two gateways can't share a file; give each its own, or both a Redis")

// lock keeps other processes from the file, until the connection that it returns is closed, or the process ends, however it does. It waits a little for one that is about to
// end. The lock is that of an empty file of SQLite beside the file, so that whoever wants to look into the file itself can.
func lock(path string) (driver.Conn, error) {
	c, err := connect(path+".lock", "_journal_mode=memory")
	if err == nil {
		_, err = c.(driver.ExecerContext).ExecContext(background, "BEGIN EXCLUSIVE", nil)
		if err == nil {
			return c, nil
		}
		_ = c.Close()
	}
	if code(err) == codeBusy {
		return nil, errInUse
	}
	return nil, err
}
