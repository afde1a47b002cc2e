// Package sqlite keeps messages in a file, which outlives the process and the power.
//
// All boxes are written by one goroutine, in one transaction for all that has come in while the last was on its way to the disk. What is in which box, and how large, is also
// known in memory, at 32 bytes for each message: so bounds and refusals ask no disk, and the disk is only told.
//
//	store.go  the store: what is given to it, and who is told
//	group.go  what is written in one transaction
//	rows.go   what a group changes in the file
//	load.go   what the file holds
//	read.go   what an owner and an operator ask for
package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/queue/internal/ledger"
	"github.com/caddy-gopr/caddy-gopr/store/sqlite"
)

const (
	// sweepEvery is how often what has expired is looked for in boxes that nobody uses.
	sweepEvery = 30 * time.Second
	// sweepBoxes is how many boxes a transaction frees of what has expired.
	sweepBoxes = 20
	// unusedFor is how long the ids of a session are remembered that has no messages, and that nobody asks for after a restart.
	unusedFor = 30 * 24 * time.Hour
	// fullFor is how long no message is tried to be stored after the disk was full. What is delivered is removed meanwhile.
	fullFor = time.Second
)

// content is what is kept in memory of a message besides its account: nothing.
type content struct{}

type (
	box   = ledger.Box[content]
	entry = ledger.Entry[content]
)

// Store is a [queue.Store] in a file. It is made by [Open].
type Store struct {
	file *sqlite.File
	now  func() time.Time
	refs int           // guarded by stores
	stop chan struct{} // closed by Close
	done chan struct{} // closed when the sweep has ended

	mu        sync.Mutex
	idle      *sync.Cond // busy has become 0
	closed    bool
	pending   []request
	asked     bool // a group is to come that takes what is pending
	hurried   bool // it is not patient
	busy      int  // groups that are not done
	late      []*queue.Batch
	refusing  bool // refuse runs
	ledger    *ledger.Ledger[content]
	unknown   map[queue.SessionID]uint64 // sessions that must be loaded anew, as what was to be written was not, with their fences
	fullUntil time.Time
	fullErr   error

	// The writer's own.
	nextRow int64
	args    []driver.Value
}

var (
	_ queue.Store  = (*Store)(nil)
	_ queue.Knower = (*Store)(nil)
)

// request is what a group carries out: a batch, or what else changes a session's boxes.
type request struct {
	batch *queue.Batch
	owner *ownerRequest
	sweep bool
}

// ownerRequest is a call of Open or Forget.
type ownerRequest struct {
	session  queue.SessionID
	fence    uint64
	forget   bool
	up, down queue.Info
	err      error
	answered chan struct{}
}

// stores are the open ones. A file has one ledger.
var stores = struct {
	sync.Mutex
	byFile map[*sqlite.File]*Store
}{byFile: make(map[*sqlite.File]*Store)}

// Open opens the store that a file holds, or makes it. See [sqlite.Open] for what makes that fail. now is its clock; nil: time.Now. A store that this process has open, as
// the configuration before a reload has, is shared: it has the new bounds from then on, and is closed when all who opened it have closed it.
func Open(path string, b queue.Bounds, now func() time.Time) (*Store, error) {
	file, err := sqlite.Open(path)
	if err != nil {
		return nil, err
	}
	stores.Lock()
	defer stores.Unlock()
	if s := stores.byFile[file]; s != nil {
		s.refs++
		s.SetBounds(b)
		return s, file.Close() // it counts for the store once
	}
	s, err := open(file, b, now)
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%s: reading its messages: %w", file.Path(), err)
	}
	s.refs = 1
	stores.byFile[file] = s
	return s, nil
}

func open(file *sqlite.File, b queue.Bounds, now func() time.Time) (*Store, error) {
	if now == nil {
		now = time.Now
	}
	s := &Store{
		file: file, now: now, stop: make(chan struct{}), done: make(chan struct{}),
		ledger:  ledger.New(b, func(*queue.Message) (c content) { return c }, func(*content) {}),
		unknown: make(map[queue.SessionID]uint64),
	}
	s.idle = sync.NewCond(&s.mu)
	if err := s.loadAll(); err != nil {
		return nil, err
	}
	go s.sweep()
	return s, nil
}

// SetBounds replaces the bounds. What is stored stays.
func (s *Store) SetBounds(b queue.Bounds) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ledger.Bounds = b.WithDefaults()
}

// Do implements [queue.Store].
func (s *Store) Do(b *queue.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.late = append(s.late, b)
		if !s.refusing {
			s.refusing = true
			go s.refuse()
		}
		return
	}
	s.ask(request{batch: b}, !puts(b))
}

// ask has a request carried out, and a group come if there is none to come soon enough. It is called with the lock held.
func (s *Store) ask(r request, patient bool) {
	s.pending = append(s.pending, r)
	if s.asked && (s.hurried || patient) {
		return
	}
	g := &group{store: s}
	if err := s.file.Do(g, patient); err != nil {
		panic(err) // the file is open for as long as the store is
	}
	s.busy++
	s.asked, s.hurried = true, !patient
}

// puts says whether somebody waits for the batch: it stores messages.
func puts(b *queue.Batch) bool {
	for i := range b.Ops {
		if b.Ops[i].Kind == queue.Put {
			return true
		}
	}
	return false
}

// refuse tells of batches that came after Close.
func (s *Store) refuse() {
	s.mu.Lock()
	for len(s.late) > 0 {
		late := s.late
		s.late = nil
		s.mu.Unlock()
		for _, b := range late {
			if b.Done != nil {
				b.Done(queue.Result{Err: queue.ErrClosed})
			}
		}
		s.mu.Lock()
	}
	s.refusing = false
	s.mu.Unlock()
}

// Open implements [queue.Store].
func (s *Store) Open(ctx context.Context, id queue.SessionID, fence uint64) (up, down queue.Info, err error) {
	r := &ownerRequest{session: id, fence: fence}
	err = s.own(ctx, r)
	return r.up, r.down, err
}

// Forget implements [queue.Store].
func (s *Store) Forget(ctx context.Context, id queue.SessionID, fence uint64) error {
	return s.own(ctx, &ownerRequest{session: id, fence: fence, forget: true})
}

// own waits for a request of an owner.
func (s *Store) own(ctx context.Context, r *ownerRequest) error {
	r.answered = make(chan struct{})
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return queue.ErrClosed
	}
	s.ask(request{owner: r}, false)
	s.mu.Unlock()
	select {
	case <-r.answered:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close implements [queue.Store].
func (s *Store) Close() error {
	stores.Lock()
	defer stores.Unlock()
	if s.refs--; s.refs > 0 {
		return nil
	} else if s.refs < 0 {
		return queue.ErrClosed
	}
	// Under the lock, so that who opens the store next finds it closed.
	delete(stores.byFile, s.file)
	s.mu.Lock()
	s.closed = true
	for s.busy > 0 {
		s.idle.Wait()
	}
	s.mu.Unlock()
	close(s.stop)
	<-s.done
	return s.file.Close()
}

// sweep forgets what has expired in boxes that nobody uses.
func (s *Store) sweep() {
	defer close(s.done)
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		s.mu.Lock()
		if !s.closed {
			s.ask(request{sweep: true}, true)
		}
		s.mu.Unlock()
	}
}

// failed says that an error is the store's own, and not the answer to a batch.
func failed(err error) bool {
	return err != nil && !errors.Is(err, queue.ErrFenced) && !errors.Is(err, queue.ErrOrder) && !errors.Is(err, queue.ErrClosed)
}
