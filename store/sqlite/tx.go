package sqlite

import (
	"database/sql/driver"
	"fmt"
	"io"
)

// Tx is a transaction that jobs share. It begins with the first change: where there is none, nothing is written. It is the writer's alone.
type Tx struct {
	conn       driver.Conn
	begun      bool
	statements map[string]driver.Stmt
	args       []driver.NamedValue
}

func newTx(c driver.Conn) *Tx { return &Tx{conn: c, statements: make(map[string]driver.Stmt)} }

// close forgets the statements.
func (tx *Tx) close() {
	for _, s := range tx.statements {
		_ = s.Close()
	}
}

// Exec carries out a change. Its statement stays prepared: so there must not be many different ones. Values are of type int64, []byte, string or nil.
func (tx *Tx) Exec(query string, args ...driver.Value) error {
	if !tx.begun {
		if err := tx.exec("BEGIN IMMEDIATE"); err != nil {
			return err
		}
		tx.begun = true
	}
	return tx.exec(query, args...)
}

func (tx *Tx) exec(query string, args ...driver.Value) error {
	s, err := tx.prepare(query)
	if err != nil {
		return err
	}
	_, err = s.(driver.StmtExecContext).ExecContext(background, tx.named(args))
	return err
}

// Query calls f for each row, in a slice that it must not keep.
func (tx *Tx) Query(query string, f func(row []driver.Value) error, args ...driver.Value) error {
	s, err := tx.prepare(query)
	if err != nil {
		return err
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(background, tx.named(args))
	if err != nil {
		return err
	}
	defer rows.Close()
	row := make([]driver.Value, len(rows.Columns()))
	for {
		switch err := rows.Next(row); err {
		case nil:
		case io.EOF:
			return nil
		default:
			return err
		}
		if err := f(row); err != nil {
			return err
		}
	}
}

// script carries out several statements, none of which is kept.
func (tx *Tx) script(text string) error {
	_, err := tx.conn.(driver.ExecerContext).ExecContext(background, text, nil)
	return err
}

// commit makes what was written safe.
func (tx *Tx) commit() error {
	if !tx.begun {
		return nil
	}
	if err := tx.exec("COMMIT"); err != nil {
		return err
	}
	tx.begun = false
	return nil
}

// rollback undoes all since the begin. SQLite may have done so by itself.
func (tx *Tx) rollback() {
	if tx.begun {
		_ = tx.script("ROLLBACK")
		tx.begun = false
	}
}

func (tx *Tx) prepare(query string) (driver.Stmt, error) {
	if s := tx.statements[query]; s != nil {
		return s, nil
	}
	s, err := tx.conn.Prepare(query)
	if err != nil {
		return nil, fmt.Errorf("preparing %q: %w", query, err)
	}
	tx.statements[query] = s
	return s, nil
}

func (tx *Tx) named(args []driver.Value) []driver.NamedValue {
	for i := len(tx.args); i < len(args); i++ {
		tx.args = append(tx.args, driver.NamedValue{Ordinal: i + 1})
	}
	for i, a := range args {
		tx.args[i].Value = a
	}
	return tx.args[:len(args)]
}
