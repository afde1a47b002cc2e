// Package sqlite is a file of SQLite with one writer.
package sqlite

import _ "modernc.org/sqlite"
