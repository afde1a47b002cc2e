package sqlite

import (
	"database/sql/driver"
	"math"
	"strings"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/store/sqlite"
)

// rows is what a group changes in the file. It is the ledger's log.
//
// Messages that are put are written first, all together. That is no other order than the ledger's, to the file: an id is put once, and what else happens to it happens later.
type rows struct {
	store   *Store
	puts    []put
	changes []change
	changed map[*box]struct{} // whose Last or Seen have changed
	touched []queue.SessionID // whose boxes have; some of them more than once
}

type put struct {
	box     *box
	message *queue.Message
}

// change is of messages that are in the file, or among the puts.
type change struct {
	kind        kind
	box         int64
	first, last uint64 // ids; of an update: the id before, and now
	state       queue.State
	retries     uint8
}

type kind uint8

const (
	cut    kind = iota // remove those from first to last, but failed ones
	drop               // remove those from first to last
	update             // of one message
	strip              // the same, and of its payload
	forget             // remove the box, with all that is in it
)

// Put implements [ledger.Log].
func (r *rows) Put(x *box, m *queue.Message) {
	r.give(x)
	r.puts = append(r.puts, put{x, m})
}

// Cut implements [ledger.Log].
func (r *rows) Cut(x *box, first, last uint64) {
	r.changes = append(r.changes, change{kind: cut, box: x.Row, first: first, last: last})
}

// Drop implements [ledger.Log]. Ids that follow one another are dropped together.
func (r *rows) Drop(x *box, id uint64) {
	if n := len(r.changes); n > 0 {
		if c := &r.changes[n-1]; c.kind == drop && c.box == x.Row && c.last+1 == id {
			c.last = id
			return
		}
	}
	r.touched = append(r.touched, x.Of().Session)
	r.changes = append(r.changes, change{kind: drop, box: x.Row, first: id, last: id})
}

// Change implements [ledger.Log].
func (r *rows) Change(x *box, id uint64, e *entry) {
	k := update
	if e.State == queue.Acknowledged {
		k = strip
	}
	r.changes = append(r.changes, change{kind: k, box: x.Row, first: id, last: e.ID, state: e.State, retries: e.Retries})
}

// Touch implements [ledger.Log].
func (r *rows) Touch(x *box) {
	r.give(x)
	if r.changed == nil {
		r.changed = make(map[*box]struct{})
	}
	r.changed[x] = struct{}{}
}

// forget removes a box.
func (r *rows) forget(x *box) {
	delete(r.changed, x)
	if x.Row != 0 {
		r.changes = append(r.changes, change{kind: forget, box: x.Row})
	}
}

// give gives a box its row.
func (r *rows) give(x *box) {
	if x.Row == 0 {
		r.store.nextRow++
		x.Row = r.store.nextRow
	}
}

// write writes it all.
func (r *rows) write(tx *sqlite.Tx, now time.Time) error {
	if err := r.writeBoxes(tx, now); err != nil {
		return err
	}
	if err := r.writePuts(tx); err != nil {
		return err
	}
	for i := range r.changes {
		if err := r.changes[i].write(tx); err != nil {
			return err
		}
	}
	return nil
}

func (r *rows) writeBoxes(tx *sqlite.Tx, now time.Time) error {
	args := r.store.args[:0]
	for x := range r.changed {
		of := x.Of()
		args = append(args, x.Row, of.Session[:], int64(of.Direction), int64(r.store.ledger.Session(of.Session).Fence),
			int64(x.Last), int64(min(x.Seen, math.MaxInt64)), now.UnixMilli())
	}
	r.store.args = args
	return insert(tx, "INSERT OR REPLACE INTO box (n, session, direction, fence, last, seen, used) VALUES ", "(?, ?, ?, ?, ?, ?, ?)", args)
}

func (r *rows) writePuts(tx *sqlite.Tx) error {
	args := r.store.args[:0]
	for _, p := range r.puts {
		m := p.message
		expires := int64(0)
		if !m.Expires.IsZero() {
			expires = m.Expires.UnixMilli()
		}
		var payload driver.Value
		if len(m.Payload) > 0 {
			payload = m.Payload
		}
		args = append(args, p.box.Row, int64(m.ID), int64(m.Cmd), int64(m.Flag), int64(m.QoS), m.Created.UnixMilli(), expires, payload)
	}
	r.store.args = args
	return insert(tx, "INSERT INTO message (box, id, cmd, flag, qos, created, expires, payload, state, retries) VALUES ", "(?, ?, ?, ?, ?, ?, ?, ?, 0, 0)", args)
}

func (c *change) write(tx *sqlite.Tx) error {
	switch c.kind {
	case cut:
		return tx.Exec("DELETE FROM message WHERE box = ? AND id BETWEEN ? AND ? AND state <> 2", c.box, int64(c.first), int64(c.last))
	case drop:
		return tx.Exec("DELETE FROM message WHERE box = ? AND id BETWEEN ? AND ?", c.box, int64(c.first), int64(c.last))
	case update:
		return tx.Exec("UPDATE message SET id = ?, state = ?, retries = ? WHERE box = ? AND id = ?", int64(c.last), int64(c.state), int64(c.retries), c.box, int64(c.first))
	case strip:
		return tx.Exec("UPDATE message SET state = 1, payload = NULL WHERE box = ? AND id = ?", c.box, int64(c.first))
	default:
		if err := tx.Exec("DELETE FROM message WHERE box = ?", c.box); err != nil {
			return err
		}
		return tx.Exec("DELETE FROM box WHERE n = ?", c.box)
	}
}

// inserts are the numbers of rows that one statement writes.
var inserts = []int{64, 8, 1}

// insert writes rows, many at a time.
func insert(tx *sqlite.Tx, into, row string, values []driver.Value) error {
	columns := strings.Count(row, "?")
	for _, n := range inserts {
		if len(values) < n*columns {
			continue
		}
		query := into + row + strings.Repeat(", "+row, n-1)
		for len(values) >= n*columns {
			if err := tx.Exec(query, values[:n*columns]...); err != nil {
				return err
			}
			values = values[n*columns:]
		}
	}
	return nil
}
