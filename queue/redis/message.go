package redis

import (
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

// headerSize is how many bytes a message has before its payload: command, flag, QoS, state and retries, one each; when it was created and when it expires, in milliseconds
// since 1970, eight each, big-endian; 0 if never. The scripts know where state and retries are, and how long it is.
const headerSize = 5 + 8 + 8

func encode(m *queue.Message) []byte {
	b := make([]byte, 0, headerSize+len(m.Payload))
	b = append(b, m.Cmd, m.Flag, m.QoS, byte(queue.Queued), 0)
	b = binary.BigEndian.AppendUint64(b, uint64(m.Created.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(expiry(m)))
	return append(b, m.Payload...)
}

// expiry is when a message expires in milliseconds since 1970; 0: never.
func expiry(m *queue.Message) int64 {
	if m.Expires.IsZero() {
		return 0
	}
	return m.Expires.UnixMilli()
}

// errDamaged says that what is under a key is not what a queue put there.
var errDamaged = errors.New("stored messages are damaged: somebody else has written to their keys")

func decode(id, text string) (m queue.Message, err error) {
	if len(text) < headerSize {
		return m, errDamaged
	}
	h := []byte(text[:headerSize])
	m = queue.Message{Cmd: h[0], Flag: h[1], QoS: h[2], State: queue.State(h[3]), Retries: h[4]}
	m.Created = time.UnixMilli(int64(binary.BigEndian.Uint64(h[5:])))
	if ms := int64(binary.BigEndian.Uint64(h[13:])); ms != 0 {
		m.Expires = time.UnixMilli(ms)
	}
	if len(text) > headerSize {
		m.Payload = []byte(text[headerSize:])
	}
	m.ID, err = parseID(id)
	return m, err
}

// parseID takes an id as it is beside a stream, or in one: with -0 behind it.
func parseID(text any) (uint64, error) {
	s, _ := text.(string)
	s, _, _ = strings.Cut(s, "-")
	id, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, errDamaged
	}
	return id, nil
}

func over(m *queue.Message, now time.Time) bool { return !m.Expires.IsZero() && !m.Expires.After(now) }
