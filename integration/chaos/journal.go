package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
)

// A journal is a file in which backends write what they received, before they acknowledge it. It is both what the checker reads and what a backend remembers, so the two
// cannot differ. Several processes may share one, as backends share a database; a process that is killed loses nothing that it has written.
type journal struct {
	mu       sync.Mutex
	f        *os.File
	read     int64 // bytes of the file that sessions know
	sessions map[sessionKey]*sessionState
	out      []byte
}

// A sessionKey is how a backend knows a session: by the two fields of the gateway's HELLO.
type sessionKey struct {
	device  uint32
	session [16]byte
}

// A sessionState is what a backend remembers of a session.
type sessionState struct {
	link     uint32   // the number of its newest connection: what comes on an older one is not heard
	last     uint32   // the highest id received
	messages []record // received, and their answers not completed; in the order of their ids. Those whose answers were received are of the kind recordReceived
}

type recordKind uint8

const (
	recordMessage   recordKind = iota + 1 // a message was received
	recordLink                            // a connection has begun with HELLO
	recordReceived                        // the gateway has the answer with the id (PUBACK, PUBREC)
	recordCompleted                       // and knows that we know it (PUBACK, PUBCOMP)
)

// A record is one line of the journal.
type record struct {
	kind    recordKind
	key     sessionKey
	id      uint32
	link    uint32
	message message
	at      int64 // nanoseconds since 1970
}

const recordLen = 48

func (r *record) append(dst []byte) []byte {
	from := len(dst)
	dst = append(dst, byte(r.kind), r.message.qos)
	dst = append(dst, r.key.session[:]...)
	for _, v := range []uint32{r.key.device, r.id, r.link, r.message.device, r.message.number} {
		dst = binary.BigEndian.AppendUint32(dst, v)
	}
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.at))
	return append(dst, make([]byte, recordLen-(len(dst)-from))...)
}

func parseRecord(b []byte) (r record, err error) {
	r.kind = recordKind(b[0])
	if r.kind < recordMessage || r.kind > recordCompleted {
		return r, fmt.Errorf("the journal is damaged: a record of kind %d", b[0])
	}
	copy(r.key.session[:], b[2:])
	u := func(i int) uint32 { return binary.BigEndian.Uint32(b[18+4*i:]) }
	r.key.device, r.id, r.link = u(0), u(1), u(2)
	r.message = message{device: u(3), qos: b[1], number: u(4)}
	r.at = int64(binary.BigEndian.Uint64(b[38:]))
	return r, nil
}

func openJournal(path string) (*journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return &journal{f: f, sessions: make(map[sessionKey]*sessionState)}, nil
}

// add writes records of no session: a plain backend remembers nothing.
func (j *journal) add(records []record) error {
	return j.locked(func() error {
		if _, err := j.mend(); err != nil {
			return err
		}
		return j.write(records)
	})
}

// update calls f with what is known of a session. Nobody else changes it meanwhile. What f returns is written, and known from then on.
func (j *journal) update(key sessionKey, f func(*sessionState) ([]record, error)) error {
	return j.locked(func() error {
		if err := j.catchUp(); err != nil {
			return err
		}
		records, err := f(j.session(key))
		if err != nil || len(records) == 0 {
			return err
		}
		if err := j.write(records); err != nil {
			return err
		}
		for _, r := range records {
			j.apply(r)
			j.read += recordLen
		}
		return nil
	})
}

// locked calls f while neither another goroutine nor another process uses the file.
func (j *journal) locked(f func() error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := lock(j.f); err != nil {
		return err
	}
	defer func() { _ = unlock(j.f) }()
	return f()
}

func (j *journal) write(records []record) error {
	j.out = j.out[:0]
	for i := range records {
		j.out = records[i].append(j.out)
	}
	_, err := j.f.Write(j.out)
	return err
}

// mend returns the size of the file. What a process had begun to write when it was killed was never acknowledged, and is cut off.
func (j *journal) mend() (size int64, err error) {
	info, err := j.f.Stat()
	if err != nil {
		return 0, err
	}
	size = info.Size() / recordLen * recordLen
	if size < info.Size() {
		err = j.f.Truncate(size)
	}
	return size, err
}

// catchUp reads what other processes have written.
func (j *journal) catchUp() error {
	size, err := j.mend()
	if err != nil {
		return err
	}
	return readRecords(io.NewSectionReader(j.f, j.read, size-j.read), func(r record) {
		j.apply(r)
		j.read += recordLen
	})
}

func (j *journal) session(key sessionKey) *sessionState {
	s := j.sessions[key]
	if s == nil {
		s = new(sessionState)
		j.sessions[key] = s
	}
	return s
}

// apply is the one place where a record becomes knowledge.
func (j *journal) apply(r record) {
	s := j.session(r.key)
	switch r.kind {
	case recordMessage:
		if r.id != 0 {
			s.last = r.id
			s.messages = append(s.messages, r)
		}
	case recordLink:
		s.link = r.link
	case recordReceived, recordCompleted:
		i := slices.IndexFunc(s.messages, func(m record) bool { return m.id == r.id })
		if i < 0 {
			return
		}
		s.messages[i].kind = recordReceived
		if r.kind == recordCompleted {
			s.messages = slices.Delete(s.messages, i, i+1)
		}
	}
}

// readRecords calls f with each record.
func readRecords(r io.Reader, f func(record)) error {
	buf := make([]byte, 1024*recordLen)
	for {
		n, err := io.ReadFull(r, buf)
		for b := buf[:n/recordLen*recordLen]; len(b) > 0; b = b[recordLen:] {
			rec, err := parseRecord(b)
			if err != nil {
				return err
			}
			f(rec)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
