package recipes

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const memcachedPage = "memcached.md"

func memcached(t *testing.T) *program {
	t.Helper()
	path, addr := find(t, "memcached", "memcached"), freeAddr(t)
	return launch(t, exec.Command(path, "-u", "root", "-U", "0", "-l", "127.0.0.1", "-p", portOf(addr)), addr)
}

// memcachedFrame is a frame of the binary protocol. status is the answer's; a request has the vbucket there.
func memcachedFrame(magic, opcode byte, status uint16, opaque uint32, extras, key, value string) []byte {
	b := make([]byte, 24, 24+len(extras)+len(key)+len(value))
	b[0], b[1], b[4] = magic, opcode, byte(len(extras))
	binary.BigEndian.PutUint16(b[2:], uint16(len(key)))
	binary.BigEndian.PutUint16(b[6:], status)
	binary.BigEndian.PutUint32(b[8:], uint32(len(extras)+len(key)+len(value)))
	binary.BigEndian.PutUint32(b[12:], opaque)
	return append(b, extras+key+value...)
}

func TestMemcached(t *testing.T) {
	memccp, memccat := find(t, "memccp", "libmemcached-tools"), find(t, "memccat", "libmemcached-tools")
	server := memcached(t)
	g := serve(t, memcachedPage, 0, ":11211", "10.0.0.1:11211", server)

	t.Run("memccp and memccat", func(t *testing.T) {
		dir := t.TempDir()
		crowd(t, func(i int) error {
			key, value := fmt.Sprintf("key%d", i), strings.Repeat(fmt.Sprintf("value %d ", i), 100)
			file := filepath.Join(dir, key)
			if err := os.WriteFile(file, []byte(value), 0o600); err != nil {
				return err
			}
			if _, err := run("", memccp, "--binary", "--servers="+g.addr, file); err != nil {
				return err
			}
			got, err := run("", memccat, "--binary", "--servers="+g.addr, key)
			if err != nil {
				return err
			}
			if strings.TrimSpace(got) != strings.TrimSpace(value) {
				return fmt.Errorf("%s is %q, want %q", key, got, value)
			}
			return nil
		})
		g.fewLinks()
	})
	// All clients use the same opaque: each gets the answer to its own question, and its opaque back. A key that is not there has status 1.
	t.Run("50 at once", func(t *testing.T) {
		g.together(func(i int) question {
			key := fmt.Sprintf("absent%d", i)
			return question{
				ask:  memcachedFrame(0x80, 0x0C, 0, 0xDEADBEEF, "", key, ""), // GETK
				want: memcachedFrame(0x81, 0x0C, 1, 0xDEADBEEF, "", key, ""),
			}
		})
	})
	// A command that does not fit is refused, and not sent on.
	t.Run("refused", func(t *testing.T) {
		c := g.dial()
		defer c.Close()
		if err := exchange(c, question{memcachedFrame(0x80, 0x09, 0, 1, "", "key0", ""), []byte{0}}); !errors.Is(err, io.EOF) { // GETQ
			t.Errorf("a quiet command: %v, want the connection to end", err)
		}
		if n := g.metric("rejected_frames_total", `reason="command"`); n == 0 {
			t.Error("no frame was rejected for its command")
		}
	})
	g.atTheEdge(server, question{memcachedFrame(0x80, 0x0A, 0, 7, "", "", ""), memcachedFrame(0x81, 0x0A, 0, 7, "", "", "")})
}

// The whole binary protocol, quiet commands, STAT and QUIT among it, goes through session pooling.
func TestMemcachedSession(t *testing.T) {
	memccapable := find(t, "memccapable", "libmemcached-tools")
	g := serve(t, memcachedPage, 1, ":11211", "10.0.0.1:11211", memcached(t))
	out, err := run("", memccapable, "-b", "-h", "127.0.0.1", "-p", portOf(g.addr))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, "All tests passed") {
		t.Error(out)
	}
}
