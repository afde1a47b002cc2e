package sqlite

import (
	"context"
	"time"
)

// patience is how long jobs that nobody waits for wait for others, with which they share a transaction.
const patience = 2 * time.Millisecond

// Job is a piece of work for the writer. Its methods are called in turn, and must not call Do of the file with the file's own result in mind: they don't wait.
type Job interface {
	// Write makes the job's changes. An error ends the transaction.
	Write(*Tx) error
	// Undone is called where the changes did not happen, because this job or another of its transaction failed, before any other job is written. It may look into the file.
	Undone(tx *Tx, err error)
	// Done is called at the end, after Undone if that was called: job after job in the order of Do, by a goroutine that is not the writer's. took is how long the
	// transaction took, with all that was in it.
	Done(took time.Duration)
}

// Do has the writer write a job. It does not wait. patient: nobody waits for it, so it may wait some milliseconds for company. ErrClosed: the file was closed, and the job is
// not taken.
func (f *File) Do(j Job, patient bool) error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return ErrClosed
	}
	f.jobs = append(f.jobs, j)
	f.urgent = f.urgent || !patient
	f.mu.Unlock()
	f.rouse()
	return nil
}

// rouse wakes the writer.
func (f *File) rouse() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// told is a transaction that has ended.
type told struct {
	jobs []Job
	took time.Duration
}

// write is the writer. While it is at the next transaction, tell tells of the last.
func (f *File) write() {
	tx := newTx(f.conn)
	tells := make(chan told, 1)
	go f.tell(tells)
	maintenance := time.NewTicker(maintainEvery)
	defer maintenance.Stop()
	for {
		jobs, ended := f.next(maintenance.C, tx)
		if ended {
			break
		}
		for len(jobs) > 0 {
			start := time.Now()
			n, err := f.transact(tx, jobs)
			if err != nil {
				err = f.Fault(err)
				for _, j := range jobs[:n] {
					j.Undone(tx, err)
				}
			}
			f.mu.Lock()
			f.err = err
			f.mu.Unlock()
			tells <- told{jobs[:n], time.Since(start)}
			jobs = jobs[n:]
		}
		select {
		case <-maintenance.C: // however much there is to do
			maintain(tx)
		default:
		}
	}
	tx.close()
	close(tells)
}

// tell calls Done.
func (f *File) tell(tells <-chan told) {
	defer close(f.ended)
	for t := range tells {
		for _, j := range t.jobs {
			j.Done(t.took)
		}
	}
}

// next waits for jobs, and returns all that there are, or that the file was closed and there are none.
func (f *File) next(maintenance <-chan time.Time, tx *Tx) (jobs []Job, ended bool) {
	var enough <-chan time.Time // the patient have waited long enough
	over := false
	for {
		f.mu.Lock()
		if f.urgent || f.closed || over && len(f.jobs) > 0 {
			jobs, f.jobs, f.urgent = f.jobs, nil, false
			ended = f.closed && len(jobs) == 0
			f.mu.Unlock()
			return jobs, ended
		}
		if len(f.jobs) > 0 && enough == nil {
			timer := time.NewTimer(patience)
			defer timer.Stop()
			enough = timer.C
		}
		f.mu.Unlock()
		select {
		case <-f.wake:
		case <-enough:
			over = true
		case <-maintenance:
			maintain(tx)
		}
	}
}

// transact writes jobs in one transaction. It returns how many it has come to, and why they have failed.
func (f *File) transact(tx *Tx, jobs []Job) (int, error) {
	for i, j := range jobs {
		if err := j.Write(tx); err != nil {
			tx.rollback()
			return i + 1, err
		}
	}
	f.mu.Lock()
	broken := f.broken
	f.mu.Unlock()
	if broken != nil {
		tx.rollback()
		return len(jobs), broken
	}
	if err := tx.commit(); err != nil {
		tx.rollback()
		return len(jobs), err
	}
	return len(jobs), nil
}

// Update has f change the file, and waits until that is safe. An error of f undoes what it did, and is returned. An error of ctx says nothing: it was done, or will be, or not.
func (f *File) Update(ctx context.Context, change func(*Tx) error) error {
	u := &update{change: change, done: make(chan struct{})}
	if err := f.Do(u, false); err != nil {
		return err
	}
	select {
	case <-u.done:
		return u.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// update is the job of Update.
type update struct {
	change func(*Tx) error
	err    error
	done   chan struct{}
}

func (u *update) Write(tx *Tx) error      { return u.change(tx) }
func (u *update) Undone(_ *Tx, err error) { u.err = err }
func (u *update) Done(time.Duration)      { close(u.done) }
