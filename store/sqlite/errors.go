package sqlite

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
)

// Codes of SQLite: https://www.sqlite.org/rescode.html.
const (
	codeBusy     = 5
	codeReadOnly = 8
	codeIO       = 10
	codeCorrupt  = 11
	codeFull     = 13
	codeCantOpen = 14
	codeNotADB   = 26

	codeNoSharedMemory = codeIO | 19<<8 // the -shm file can't be enlarged: a disk with no room, mostly
)

var (
	// ErrFull says that there is no room on the disk.
	ErrFull = errors.New("the disk is full, or the quota is used up: nothing more can be stored until there is room")
	// ErrDamaged says that the file is not as it was written.
	ErrDamaged = errors.New("the file is damaged: stop, move it away together with its -wal and -shm, and start with a copy that is good, or with none; " +
		"what can be saved of it, `sqlite3 FILE .recover` saves")
	errReadOnly = errors.New("the file, or its directory, can't be written")
	errIO       = errors.New("the disk fails")
)

// isFull says whether an error is of a disk that is full.
func isFull(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code()&0xff == codeFull || e.Code() == codeNoSharedMemory)
}

// code returns SQLite's primary code of an error, or 0.
func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// explain puts before an error of SQLite what it means to an operator.
func explain(err error) error {
	if isFull(err) && !errors.Is(err, ErrFull) {
		return fmt.Errorf("%w (%w)", ErrFull, err)
	}
	for meaning, codes := range map[error][]int{
		ErrDamaged: {codeCorrupt, codeNotADB}, errReadOnly: {codeReadOnly, codeCantOpen}, errIO: {codeIO},
	} {
		for _, c := range codes {
			if code(err) == c && !errors.Is(err, ErrFull) && !errors.Is(err, meaning) {
				return fmt.Errorf("%w (%w)", meaning, err)
			}
		}
	}
	return err
}
