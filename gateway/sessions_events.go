package gateway

import (
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/caddy-gopr/caddy-gopr/delivery"
	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/session"
)

// notify tells of what happened to one of the sessions, a message or a store.
func (s *Sessions) notify(e delivery.Event) {
	data := map[string]any{"handler": s.key.handler}
	if e.Client != "" {
		data["client"] = ClientName(e.Client)
		data["session"] = SessionName(e.Session)
	}
	if e.Message != 0 {
		data["message"] = e.Message
		data["direction"] = map[queue.Direction]string{queue.Up: "up", queue.Down: "down"}[e.Direction]
	}
	if e.Store != "" {
		data["store"] = e.Store
	}
	if e.Err != nil {
		data["error"] = e.Err.Error()
	}
	Emit("gopr."+string(e.Kind), data)
}

// ClientName is a client id for people: ids are bytes of any kind.
func ClientName(id string) string {
	quoted := strconv.QuoteToGraphic(id)
	if inner := quoted[1 : len(quoted)-1]; !strings.Contains(inner, `\x`) {
		return inner
	}
	return "0x" + hex.EncodeToString([]byte(id))
}

// SessionName is a session's id for people.
func SessionName(id session.ID) string { return hex.EncodeToString(id[:]) }
