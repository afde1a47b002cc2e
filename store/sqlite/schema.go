package sqlite

import (
	"database/sql/driver"
	"fmt"
)

// applicationID says in the header of a file that it is one of ours: "GOPR".
const applicationID = 0x474F5052

// steps make a file of each version one of the next: the first makes the tables in an empty file. A step is never changed once it was released.
var steps = []string{
	`CREATE TABLE box (
		n         INTEGER PRIMARY KEY,
		session   BLOB    NOT NULL, -- 16 bytes
		direction INTEGER NOT NULL, -- 0 up, from the client; 1 down
		fence     INTEGER NOT NULL,
		last      INTEGER NOT NULL, -- the highest id ever put there
		seen      INTEGER NOT NULL, -- the highest id received from an extended backend
		used      INTEGER NOT NULL  -- when it was written, ms since 1970
	);
	CREATE TABLE message (
		box     INTEGER NOT NULL, -- box.n
		id      INTEGER NOT NULL,
		cmd     INTEGER NOT NULL,
		flag    INTEGER NOT NULL,
		qos     INTEGER NOT NULL,
		state   INTEGER NOT NULL, -- 0 queued, 1 acknowledged, 2 failed
		retries INTEGER NOT NULL,
		created INTEGER NOT NULL, -- ms since 1970
		expires INTEGER NOT NULL, -- the same; 0: never
		payload BLOB,             -- NULL: empty
		PRIMARY KEY (box, id)
	) WITHOUT ROWID;
	CREATE TABLE session (
		id          BLOB    NOT NULL PRIMARY KEY, -- 16 bytes
		client      BLOB    NOT NULL,             -- its client's id
		current     INTEGER NOT NULL,             -- 1: its client may resume it; 0: it was replaced
		fence       INTEGER NOT NULL,
		owner       TEXT    NOT NULL,
		token       BLOB    NOT NULL,             -- SHA-256
		before      BLOB,                         -- SHA-256 of the token before, and the salt that made token of it, as long as that is good; else NULL
		certificate BLOB,                         -- SHA-256; NULL: none
		since       INTEGER NOT NULL,             -- ms since 1970
		seen        INTEGER NOT NULL,             -- the same
		expiry      INTEGER NOT NULL,             -- ms
		attributes  TEXT                          -- JSON
	) WITHOUT ROWID;
	CREATE INDEX session_client ON session (client);
	CREATE TABLE fence (last INTEGER NOT NULL); -- that a session was given
	INSERT INTO fence VALUES (0);`,
}

// migrate makes the file one of this version, step by step, each wholly or not at all.
func migrate(c driver.Conn) error {
	tx := newTx(c)
	defer tx.close()
	var id, version, tables int64
	for query, to := range map[string]*int64{
		"PRAGMA application_id": &id, "PRAGMA user_version": &version, "SELECT count(*) FROM sqlite_schema": &tables,
	} {
		if err := tx.Query(query, func(row []driver.Value) error { *to = row[0].(int64); return nil }); err != nil {
			return err
		}
	}
	switch {
	case id != applicationID && (id != 0 || version != 0 || tables != 0):
		return fmt.Errorf("this is a database of something else, not a store of caddy-gopr: give another path, such as gopr.db")
	case version > int64(len(steps)):
		return fmt.Errorf("a newer version of caddy-gopr wrote this file (schema %d, this one knows %d): run that version, or give another path", version, len(steps))
	}
	for ; version < int64(len(steps)); version++ {
		script := fmt.Sprintf("BEGIN IMMEDIATE; %s; PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT", steps[version], applicationID, version+1)
		if err := tx.script(script); err != nil {
			_ = tx.script("ROLLBACK")
			return fmt.Errorf("making schema %d of it: %w", version+1, err)
		}
	}
	return nil
}
