package sqlite

import (
	"database/sql/driver"
	"fmt"
	"time"
)

const (
	pageSize = 4096 // bytes: SQLite's default
	// checkpointPages is after how many pages what the log holds is carried over to the file: 16 MiB. The more, the fewer writes, as pages that are written again and again
	// are carried over once; the fewer, the shorter the log that is read after a crash.
	checkpointPages = 4096
	// maintainEvery is how often pages that are free are given back to the disk.
	maintainEvery = 10 * time.Second
	// spare is how many free pages a file may keep beside a quarter of its pages: what is about to be used again need not be given back. 16 MiB.
	spare = 4096
	// returned is how many pages are given back at a time, so that nobody waits long: 8 MiB.
	returned = 2048
)

// maintain gives pages back to the disk that a backlog has used, and nothing uses now. An error is none: it is tried again, and whoever writes is told of what is wrong.
func maintain(tx *Tx) {
	var pages, free int64
	for query, to := range map[string]*int64{"PRAGMA page_count": &pages, "PRAGMA freelist_count": &free} {
		if err := tx.Query(query, func(row []driver.Value) error { *to = row[0].(int64); return nil }); err != nil {
			return
		}
	}
	if free > spare+pages/4 {
		_ = tx.Query(fmt.Sprintf("PRAGMA incremental_vacuum(%d)", returned), func([]driver.Value) error { return nil })
	}
}
