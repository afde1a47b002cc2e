package sqlite

import (
	"bufio"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// errLogDamaged is of a log that SQLite would take the beginning of, and say nothing of the rest.
var errLogDamaged = errors.New("its log (-wal) is damaged, and transactions that were safe are behind the damage: stop, and keep a copy of all its files; " +
	"to go on without these transactions, run `sqlite3 FILE 'PRAGMA wal_checkpoint(TRUNCATE)'`, and start again")

// The log's format: https://www.sqlite.org/fileformat2.html#walformat.
const (
	logHeaderSize   = 32
	frameHeaderSize = 24
	logMagic        = 0x377f0682 // the lowest bit says which end of a word the checksums begin with
)

// checkLog looks for damage in the log of a file that nobody has open. Whoever opens it takes the frames up to the first that is not good for the log, as a crash leaves the last
// transaction unfinished. But a transaction is begun when the one before is safe: so where two or more end from such a frame on, it is damage.
func checkLog(path string) error {
	f, err := os.Open(path + "-wal")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<20)
	header := make([]byte, logHeaderSize)
	if _, err := io.ReadFull(in, header); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil // nothing was ever written
	} else if err != nil {
		return err
	}
	word := func(at int) uint32 { return binary.BigEndian.Uint32(header[at:]) }
	size := int(word(8))
	var order binary.ByteOrder = binary.LittleEndian
	if word(0)&1 == 1 {
		order = binary.BigEndian
	}
	sum := checksum(order, [2]uint32{}, header[:24])
	if word(0)&^1 != logMagic || size < 512 || size > 65536 || size&(size-1) != 0 || sum != [2]uint32{word(24), word(28)} {
		if _, err := in.Peek(1); err != nil {
			return nil // no frame was ever written
		}
		return errLogDamaged
	}

	frame := make([]byte, frameHeaderSize+size)
	good, ends := true, 0
	for {
		if _, err := io.ReadFull(in, frame); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		} else if err != nil {
			return err
		}
		if string(frame[8:16]) != string(header[16:24]) { // of a log that was here before, or damage
			good = false
			continue
		}
		if good {
			next := checksum(order, checksum(order, sum, frame[:8]), frame[frameHeaderSize:])
			good = next == [2]uint32{binary.BigEndian.Uint32(frame[16:]), binary.BigEndian.Uint32(frame[20:])}
			sum = next
		}
		if !good && binary.BigEndian.Uint32(frame[4:]) != 0 { // it ends a transaction
			ends++
		}
	}
	if ends >= 2 {
		return fmt.Errorf("%w (%d transactions or more)", errLogDamaged, ends-1)
	}
	return nil
}

// restart carries the log over to the file, and empties it, so that nothing is behind its end that a crash has left there. Where that can't be done, the log goes on as it is.
func restart(c driver.Conn) {
	tx := newTx(c)
	defer tx.close()
	_ = tx.Query("PRAGMA wal_checkpoint(TRUNCATE)", func([]driver.Value) error { return nil })
}

// checksum goes on with a checksum of the log.
func checksum(order binary.ByteOrder, sum [2]uint32, b []byte) [2]uint32 {
	for ; len(b) >= 8; b = b[8:] {
		sum[0] += order.Uint32(b) + sum[1]
		sum[1] += order.Uint32(b[4:]) + sum[0]
	}
	return sum
}
