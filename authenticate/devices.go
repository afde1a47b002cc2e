package authenticate

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/caddy-gopr/caddy-gopr/authenticate/password"
)

// maxDevicesFile is the longest file that is read: some 500,000 devices.
const maxDevicesFile = 64 << 20

// maxClientID is how long a client id may be, in bytes.
const maxClientID = 255

// devices is a file of client ids and hashes, as it was read. It is not changed.
type devices struct {
	hashes map[string]password.Hash
	all    []password.Hash // the same
}

// readDevices reads a file. An error names the line.
func readDevices(name string) (*devices, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxDevicesFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case len(b) > maxDevicesFile:
		return nil, fmt.Errorf("%s is longer than %d MiB: ask a service for so many clients, with `authenticate http`", name, maxDevicesFile>>20)
	}
	d := &devices{hashes: make(map[string]password.Hash)}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; lines.Scan(); n++ {
		if err := d.add(strings.TrimRight(lines.Text(), " \t\r")); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", name, n, err)
		}
	}
	switch {
	case lines.Err() != nil:
		return nil, fmt.Errorf("%s: %w", name, lines.Err())
	case len(d.all) == 0:
		return nil, fmt.Errorf("%s has no client: write a line such as `thermometer-17:$2a$10$…` for each", name)
	}
	return d, nil
}

// decoys is by what an unknown client gets its hash.
var decoys = maphash.MakeSeed()

// add reads a line: an id, a colon, and a hash. An id that is no plain text is quoted as in Go.
func (d *devices) add(line string) error {
	if line == "" || line[0] == '#' {
		return nil
	}
	at := strings.LastIndexByte(line, ':') // no hash has one; an id may
	if at < 0 {
		return errors.New("it has no colon: write it as `client-id:hash`")
	}
	id := line[:at]
	if id != "" && id[0] == '"' {
		plain, err := strconv.Unquote(id)
		if err != nil {
			return fmt.Errorf("%s is quoted wrongly: write it as in Go, such as \"\\x01\\x02\"", id)
		}
		id = plain
	} else if id != strings.TrimSpace(id) {
		return fmt.Errorf("%q begins or ends with a space: remove it, or put the id in quotes", id)
	}
	if id == "" || len(id) > maxClientID {
		return fmt.Errorf("its client id has %d bytes: 1 to %d can be", len(id), maxClientID)
	}
	if _, twice := d.hashes[id]; twice {
		return fmt.Errorf("client %q is there twice: once is enough", id)
	}
	h, err := password.Parse(line[at+1:])
	if err != nil {
		return fmt.Errorf("client %q: %w", id, err)
	}
	d.hashes[id] = h
	d.all = append(d.all, h)
	return nil
}

// find returns the hash of a client's credential. For one that is not known it is another's, always the same: so nobody can tell by the time it takes who is known, in a file
// with hashes of several kinds neither.
func (d *devices) find(id []byte) (h password.Hash, known bool) {
	if h, known = d.hashes[string(id)]; !known {
		h = d.all[maphash.Bytes(decoys, id)%uint64(len(d.all))]
	}
	return h, known
}
