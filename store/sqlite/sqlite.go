// Package sqlite is a file of SQLite in which sessions and messages are kept, and the one goroutine that writes to it.
//
// Who writes gives a [Job] to the [File]. What has been given while a transaction was on its way is written together in the next: so the more there is to do, the less does
// each pay for the disk.
//
//	sqlite.go     the file: who has opened it, and its connections
//	lock.go       one process has a file
//	schema.go     its tables, and how files of older versions become such
//	writer.go     jobs, and the goroutine that writes them
//	tx.go         a transaction, and its statements
//	log.go        damage in the log, of which SQLite says nothing
//	size.go       how large the file and its log become
//	errors.go     what an operator is told
package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"modernc.org/sqlite"
)

// ErrClosed says that the file was closed.
var ErrClosed = errors.New("store closed")

// File is an open file. It is made by [Open].
type File struct {
	// Read is for what only reads, at any time and from any goroutine. It sees what was committed.
	Read *sql.DB

	path string
	refs int // guarded by files

	lock  driver.Conn
	conn  driver.Conn // the writer's
	wake  chan struct{}
	ended chan struct{} // closed when the writer and the teller have ended

	mu     sync.Mutex
	jobs   []Job
	urgent bool // somebody waits for one of them
	closed bool
	err    error // of the last transaction
	broken error // that the file is damaged; from then on nothing is written to it
}

// files are the open ones by path. Sessions and messages, and the configurations before and after a reload, share one.
var files = struct {
	sync.Mutex
	byPath map[string]*File
}{byPath: make(map[string]*File)}

// Open opens a file, or makes it, readable for its owner only. A file that this process has open is shared: it is closed when all who opened it have closed it. A file that
// another process has open, that is damaged, that is something else, or that a newer version wrote, is an error that says so.
func Open(path string) (*File, error) {
	path, err := canonical(path)
	if err != nil {
		return nil, err
	}
	files.Lock()
	defer files.Unlock()
	f := files.byPath[path]
	if f == nil {
		if f, err = open(path); err != nil {
			return nil, fmt.Errorf("%s: %w", path, explain(err))
		}
		files.byPath[path] = f
	}
	f.refs++
	return f, nil
}

// canonical returns the one name of a file, which need not exist.
func canonical(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", fmt.Errorf("the directory of a store must exist: %w", err)
	}
	path = filepath.Join(dir, filepath.Base(path))
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return target, nil
	}
	return path, nil
}

func open(path string) (_ *File, err error) {
	f := &File{path: path, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	defer func() {
		if err != nil {
			f.disconnect()
		}
	}()
	// SQLite gives the files beside it the same mode. It must not be open yet: closing a descriptor of it would free SQLite's locks.
	made, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := made.Close(); err != nil {
		return nil, err
	}
	if f.lock, err = lock(path); err != nil {
		return nil, err
	}
	if err = checkLog(path); err != nil {
		return nil, err
	}
	if f.conn, err = connect(path, "_auto_vacuum=incremental", "_journal_mode=wal", "_synchronous=full", pragma("cache_size", -16<<10), pragma("temp_store", 2),
		pragma("wal_autocheckpoint", checkpointPages), pragma("journal_size_limit", checkpointPages*pageSize)); err != nil {
		return nil, err
	}
	if err := migrate(f.conn); err != nil {
		return nil, err
	}
	if err := check(f.conn); err != nil {
		return nil, err
	}
	restart(f.conn)
	if f.Read, err = sql.Open("sqlite", dsn(path, "mode=ro", pragma("query_only", 1))); err != nil {
		return nil, err
	}
	f.Read.SetMaxOpenConns(4)
	f.Read.SetMaxIdleConns(2)
	go f.write()
	return f, nil
}

// Path returns where the file is.
func (f *File) Path() string { return f.path }

// Close has what was given to Do written, and closes the file, unless others have it open. Whoever calls it must not use the file any more.
func (f *File) Close() error {
	files.Lock()
	defer files.Unlock()
	if f.refs--; f.refs > 0 {
		return nil
	}
	// Under the lock, so that who opens the file next finds it closed.
	delete(files.byPath, f.path)
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.rouse()
	<-f.ended
	return f.disconnect()
}

// disconnect closes all connections that are open; the lock's last.
func (f *File) disconnect() error {
	var errs []error
	if f.Read != nil {
		errs = append(errs, f.Read.Close())
	}
	for _, c := range []driver.Conn{f.conn, f.lock} {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// Fault has an error of SQLite say what it means, and of which file. nil stays nil. One that says that the file is damaged is the end of writing to it: nobody is to be told that
// something is safe which a copy of the file from before, or what is saved of it, does not have.
func (f *File) Fault(err error) error {
	if err == nil {
		return nil
	}
	err = explain(err)
	if !errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken == nil {
		f.broken = fmt.Errorf("%s: %w", f.path, err)
	}
	return f.broken
}

// Err returns why the last transaction failed; nil: it did not.
func (f *File) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func connect(path string, settings ...string) (driver.Conn, error) {
	return new(sqlite.Driver).Open(dsn(path, settings...))
}

// busyTimeout is how long a statement waits for others that use the file, in ms: a backup, a shell, or a process that is about to end. It is a variable for tests.
var busyTimeout = 5000

func dsn(path string, settings ...string) string {
	path = filepath.ToSlash(path)
	if path[0] != '/' {
		path = "/" + path // C:/…
	}
	s := (&url.URL{Scheme: "file", Path: path}).String() + fmt.Sprintf("?_busy_timeout=%d&_error_rc=true", busyTimeout)
	for _, setting := range settings {
		s += "&" + setting
	}
	return s
}

func pragma(name string, value int) string { return fmt.Sprintf("_pragma=%s(%d)", name, value) }

// check looks for damage. It reads all of the file.
func check(c driver.Conn) error {
	tx := newTx(c)
	defer tx.close()
	return tx.Query("PRAGMA quick_check(1)", func(row []driver.Value) error {
		if row[0] != "ok" {
			return fmt.Errorf("%w: %v", ErrDamaged, row[0])
		}
		return nil
	})
}

// background is the context of statements that nobody gives up.
var background = context.Background()
