package redis

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/caddy-gopr/caddy-gopr/session"
)

// fields are those of a record that a script does not set by itself.
func fields(r *session.Record) []any {
	f := []any{
		"client", r.Client, "token", r.Token[:],
		"since", r.Since.UnixMilli(), "seen", r.Seen.UnixMilli(), "expiry", r.Expiry.Milliseconds(),
	}
	if r.Before != "" {
		f = append(f, "before", string(r.Before))
	}
	if r.Certificate != (session.Hash{}) {
		f = append(f, "certificate", r.Certificate[:])
	}
	if len(r.Attributes) > 0 {
		// As bytes: JSON would not keep a string that is no UTF-8.
		attributes := make(map[string][]byte, len(r.Attributes))
		for k, v := range r.Attributes {
			attributes[hex.EncodeToString([]byte(k))] = []byte(v)
		}
		text, _ := json.Marshal(attributes)
		f = append(f, "attributes", text)
	}
	return f
}

// errDamaged: a hash that is no session's.
var errDamaged = errors.New("a session's record is damaged: somebody else has written to its key")

// record reads what a script or HGETALL returns. An empty hash is session.ErrUnknown.
func record(hash map[string]string) (r session.Record, err error) {
	if len(hash) == 0 {
		return r, session.ErrUnknown
	}
	number := func(name string) int64 {
		n, e := strconv.ParseInt(hash[name], 10, 64)
		if e != nil {
			err = errDamaged
		}
		return n
	}
	sum := func(name string) (h session.Hash) {
		if s, there := hash[name]; there && copy(h[:], s) != len(h) {
			err = errDamaged
		}
		return h
	}
	r = session.Record{
		Client: hash["client"], Owner: hash["owner"], Fence: uint64(number("fence")),
		Token: sum("token"), Before: session.Before(hash["before"]), Certificate: sum("certificate"),
		Since: time.UnixMilli(number("since")), Seen: time.UnixMilli(number("seen")), Expiry: time.Duration(number("expiry")) * time.Millisecond,
	}
	var ok bool
	if r.ID, ok = parseID(hash["id"]); !ok {
		return r, errDamaged
	}
	if text, there := hash["attributes"]; there {
		var attributes map[string][]byte
		if json.Unmarshal([]byte(text), &attributes) != nil {
			return r, errDamaged
		}
		r.Attributes = make(map[string]string, len(attributes))
		for k, v := range attributes {
			name, e := hex.DecodeString(k)
			if e != nil {
				return r, errDamaged
			}
			r.Attributes[string(name)] = string(v)
		}
	}
	return r, err
}

func parseID(s string) (id session.ID, ok bool) {
	if len(s) != hex.EncodedLen(len(id)) {
		return id, false
	}
	_, err := hex.Decode(id[:], []byte(s))
	return id, err == nil
}

// pairs makes a map of what a script returns for HGETALL.
func pairs(list any) map[string]string {
	values, _ := list.([]any)
	hash := make(map[string]string, len(values)/2)
	for i := 0; i+1 < len(values); i += 2 {
		k, _ := values[i].(string)
		v, _ := values[i+1].(string)
		hash[k] = v
	}
	return hash
}

func parseFence(v any) (uint64, error) {
	text, _ := v.(string)
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, errDamaged
	}
	return n, nil
}
