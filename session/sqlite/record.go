package sqlite

import (
	"database/sql/driver"
	"encoding/json"
	"time"

	"github.com/caddy-gopr/caddy-gopr/session"
	"github.com/caddy-gopr/caddy-gopr/store/sqlite"
)

const columns = "client, id, fence, owner, token, before, certificate, since, seen, expiry, attributes"

// values are a record's columns.
func values(r *session.Record) ([]driver.Value, error) {
	attributes, err := attributesOf(r)
	return []driver.Value{
		[]byte(r.Client), r.ID[:], int64(r.Fence), r.Owner, r.Token[:], beforeOrNull(r.Before), hashOrNull(&r.Certificate),
		millis(r.Since), millis(r.Seen), r.Expiry.Milliseconds(), attributes,
	}, err
}

func attributesOf(r *session.Record) (driver.Value, error) {
	if len(r.Attributes) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(r.Attributes)
	return string(text), err
}

func hashOrNull(h *session.Hash) driver.Value {
	if *h == (session.Hash{}) {
		return nil
	}
	return h[:]
}

func beforeOrNull(b session.Before) driver.Value {
	if b == "" {
		return nil
	}
	return []byte(b)
}

// row is what a record's columns are scanned into.
type row struct {
	client, id, token, before, certificate []byte
	fence, since, seen, expiry             int64
	owner                                  string
	attributes                             *string
}

func (r *row) targets() []any {
	return []any{&r.client, &r.id, &r.fence, &r.owner, &r.token, &r.before, &r.certificate, &r.since, &r.seen, &r.expiry, &r.attributes}
}

func (r *row) record() (session.Record, error) {
	out := session.Record{
		Client: string(r.client), Fence: uint64(r.fence), Owner: r.owner,
		Since: time.UnixMilli(r.since), Seen: time.UnixMilli(r.seen), Expiry: time.Duration(r.expiry) * time.Millisecond,
	}
	copy(out.ID[:], r.id)
	copy(out.Token[:], r.token)
	out.Before = session.Before(r.before)
	copy(out.Certificate[:], r.certificate)
	if r.attributes == nil {
		return out, nil
	}
	return out, json.Unmarshal([]byte(*r.attributes), &out.Attributes)
}

// find returns the session that meets a condition, and has not expired; nil: there is none.
func find(tx *sqlite.Tx, condition string, args ...driver.Value) (found *session.Record, err error) {
	args = append(args, millis(time.Now()))
	err = tx.Query("SELECT "+columns+" FROM session WHERE "+condition+" AND seen + expiry > ?", func(v []driver.Value) error {
		var r row
		r.client, _ = v[0].([]byte)
		r.id, _ = v[1].([]byte)
		r.fence, _ = v[2].(int64)
		r.owner, _ = v[3].(string)
		r.token, _ = v[4].([]byte)
		r.before, _ = v[5].([]byte)
		r.certificate, _ = v[6].([]byte)
		r.since, _ = v[7].(int64)
		r.seen, _ = v[8].(int64)
		r.expiry, _ = v[9].(int64)
		if text, ok := v[10].(string); ok {
			r.attributes = &text
		}
		record, err := r.record()
		found = &record
		return err
	}, args...)
	return found, err
}

// current returns the session that a client may resume; nil: it has none.
func current(tx *sqlite.Tx, client string) (*session.Record, error) {
	return find(tx, "client = ? AND current = 1", []byte(client))
}
