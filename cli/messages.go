package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

type messagesArgs struct {
	adminArgs
	id     string // one of them, for a verb; "": a list
	verb   string // requeue or drop
	filter url.Values
	limit  int
	json   bool
}

// messageLine is what the table shows of a stored message.
type messageLine struct {
	ID      string    `json:"id"`
	Handler string    `json:"handler"`
	Cmd     uint8     `json:"cmd"`
	Flag    uint8     `json:"flag"`
	QoS     uint8     `json:"qos"`
	State   string    `json:"state"`
	Retries uint8     `json:"retries"`
	Bytes   int       `json:"bytes"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

// messages lists stored messages, or has one delivered again or forgotten.
func messages(ctx context.Context, a messagesArgs, std stdio) (int, error) {
	if a.id != "" && a.verb == "" {
		return exitUsage, errors.New("what to do with the message is missing: requeue or drop, as in `messages ID requeue`")
	}
	api, err := a.find()
	if err != nil {
		return exitUsage, err
	}
	if a.id != "" {
		var told struct{ Message, Done string }
		if err := api.call(ctx, http.MethodPost, "/gopr/messages/"+url.PathEscape(a.id)+"/"+url.PathEscape(a.verb), nil, &told); err != nil {
			return failed(err), err
		}
		fmt.Fprintf(std.out, "%s: %s\n", told.Done, told.Message)
		return exitOK, nil
	}
	t := newTable("ID", "HANDLER", "STATE", "QOS", "CMD", "FLAG", "BYTES", "RETRIES", "AGE", "EXPIRES IN")
	now := time.Now()
	return listSome(ctx, api, "messages", a.filter, a.limit, a.json, std, t, func(m *messageLine) []string {
		expires := none
		if !m.Expires.IsZero() {
			expires = span(max(0, m.Expires.Sub(now)))
		}
		return []string{
			m.ID, m.Handler, m.State, fmt.Sprint(m.QoS), fmt.Sprintf("0x%02X", m.Cmd), fmt.Sprintf("0x%02X", m.Flag), fmt.Sprint(m.Bytes),
			fmt.Sprint(m.Retries), since(now, m.Created), expires,
		}
	})
}
