package gateway

import (
	"bufio"
	"encoding/json"
	"net/http"
	"time"
)

// list is a long answer, written while it is made: {"<name>": [ … ], "next": "<cursor>"}. Only a little of it is in memory at any time, and no lock is held while it is
// written: an admin client that reads slowly, or not at all, holds up its own request and nothing else, and that no longer than listTimeout.
type list struct {
	w     http.ResponseWriter
	buf   *bufio.Writer
	enc   *json.Encoder
	next  string // the cursor of the next page; "": this is the last
	first bool
	err   error // whoever asked has gone
}

// listTimeout is how long an admin client may take to read one answer.
const listTimeout = 30 * time.Second

func newList(w http.ResponseWriter, name string) *list {
	w.Header().Set("Content-Type", "application/json")
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(listTimeout)) // fails where there is no network: in tests
	l := &list{w: w, buf: bufio.NewWriterSize(w, 16<<10), first: true}
	l.enc = json.NewEncoder(l.buf)
	l.write(`{"` + name + `":[` + "\n")
	return l
}

func (l *list) write(s string) {
	if l.err == nil {
		_, l.err = l.buf.WriteString(s)
	}
}

// add writes one element. It returns false when nobody reads any more.
func (l *list) add(v any) bool {
	if !l.first {
		l.write(",")
	}
	l.first = false
	if l.err == nil {
		l.err = l.enc.Encode(v)
	}
	return l.err == nil
}

// end completes the answer.
func (l *list) end() {
	l.write("]")
	if l.next != "" {
		l.write(`,"next":"` + l.next + `"`)
	}
	l.write("}\n")
	if l.err == nil {
		l.err = l.buf.Flush()
	}
	c := http.NewResponseController(l.w)
	if l.err == nil {
		_ = c.Flush()
	}
	_ = c.SetWriteDeadline(time.Time{}) // the connection may have another request
}
