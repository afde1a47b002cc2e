package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-gopr/caddy-gopr/delivery"
	"github.com/caddy-gopr/caddy-gopr/queue"
	queuememory "github.com/caddy-gopr/caddy-gopr/queue/memory"
	"github.com/caddy-gopr/caddy-gopr/session"
	sessionmemory "github.com/caddy-gopr/caddy-gopr/session/memory"
	"github.com/caddy-gopr/caddy-gopr/upstream"
)

// keeper is a service of sessions that are in memory, and whose backends are away.
type keeper struct {
	t        *testing.T
	handler  string
	service  *delivery.Service
	sessions *sessionmemory.Store
	queue    queue.Store
}

// keep starts the service of a handler, which ends with the test.
func keep(t *testing.T, handler string) *keeper {
	t.Helper()
	k := &keeper{t: t, handler: handler, sessions: sessionmemory.Open(sessionmemory.Options{}), queue: queuememory.New(queue.Bounds{}, nil)}
	var err error
	k.service, err = delivery.NewService(delivery.Config{
		Name: handler, Owner: "here", Sessions: k.sessions, Queue: k.queue,
		Lease: func(upstream.LinkPeer, upstream.Client) (upstream.Lease, func(), error) {
			return nil, nil, errors.New("no backend")
		},
	}, delivery.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	services.begin(handler, k.service)
	t.Cleanup(k.end)
	return k
}

// end ends it, once.
func (k *keeper) end() {
	if k.service == nil {
		return
	}
	k.service.Close()
	services.end(k.handler, k.service)
	k.service = nil
	k.queue.Close()
}

// caller is a connection that gets nothing and says nothing.
type caller struct{ ended chan error }

func (*caller) Write([]byte, int) (full bool) { return false }
func (*caller) Resume()                       {}
func (c *caller) End(err error)               { c.ended <- err }
func (*caller) From() upstream.Client {
	return upstream.Client{Source: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 7}}
}

// hello has a client come, and stay.
func (k *keeper) hello(id string) (*caller, string) {
	k.t.Helper()
	s, w, err := k.service.Hello(k.t.Context(), delivery.Hello{
		Client: id, Expiry: time.Hour, From: (*caller)(nil).From(),
	})
	if err != nil {
		k.t.Fatal(err)
	}
	c := &caller{make(chan error, 1)}
	s.Attach(c, w)
	return c, SessionName(s.Info().ID)
}

// away makes a session that is in the store alone, with messages of which the first has failed.
func (k *keeper) away(id, owner string, messages ...string) string {
	k.t.Helper()
	ctx := context.Background()
	r, _, err := k.sessions.Begin(ctx, session.Record{Client: id, ID: session.NewID(), Owner: owner, Since: time.Now(), Seen: time.Now(), Expiry: time.Hour}, session.Record{})
	if err != nil {
		k.t.Fatal(err)
	}
	if _, _, err := k.queue.Open(ctx, queue.SessionID(r.ID), r.Fence); err != nil {
		k.t.Fatal(err)
	}
	b := queue.Batch{Box: queue.Box{Session: queue.SessionID(r.ID), Direction: queue.Down}, Fence: r.Fence}
	for i, m := range messages {
		b.Ops = append(b.Ops, queue.Op{Kind: queue.Put, Message: &queue.Message{
			ID: uint64(i + 1), Cmd: 0x10, QoS: 1, Created: time.Now(), Expires: time.Now().Add(time.Hour), Payload: []byte(m),
		}})
	}
	if len(messages) > 0 {
		b.Ops = append(b.Ops, queue.Op{Kind: queue.Fail, ID: 1, N: 3})
	}
	done := make(chan queue.Result)
	b.Done = func(r queue.Result) { done <- r }
	k.queue.Do(&b)
	if r := <-done; r.Err != nil {
		k.t.Fatal(r.Err)
	}
	return SessionName(r.ID)
}

func TestSessions(t *testing.T) {
	k := keep(t, "h")
	_, here := k.hello("here")
	away := k.away("\xff", "there", "one", "two")
	k.away("text\n", "there")
	keep(t, "other")

	names := func(uri string) (all []string) {
		for _, s := range askFor[struct{ Sessions []sessionView }](t, http.MethodGet, uri).Sessions {
			all = append(all, s.Client+" "+s.State)
		}
		return all
	}
	for uri, want := range map[string]string{
		"/gopr/sessions":                        `here attached, text\n away, 0xff away`,
		"/gopr/sessions?handler=h&limit=1":      `here attached`,
		"/gopr/sessions?handler=other":          ``,
		"/gopr/sessions?state=attached":         `here attached`,
		"/gopr/sessions?state=away&client=0xff": `0xff away`,
		"/gopr/sessions?client=text%5Cn":        `text\n away`,
		"/gopr/sessions?client=nobody":          ``,
	} {
		if got := strings.Join(names(uri), ", "); got != want {
			t.Errorf("%s: %s, not %s", uri, got, want)
		}
	}
	one := askFor[sessionView](t, http.MethodGet, "/gopr/sessions/"+here)
	if one.Handler != "h" || one.Remote != "192.0.2.1:7" || one.Owner != "h/here" || one.Expiry != 3600 || one.Up == nil || one.Down.Messages != 0 || one.Fence != 1 {
		t.Errorf("%+v", one)
	}
	for _, tt := range []struct {
		method, uri string
		status      int
		says        string
	}{
		{"GET", "/gopr/sessions?limit=1", 200, `"more":true`},
		{"GET", "/gopr/sessions/" + away, 200, `"state":"away"`},
		{"GET", "/gopr/sessions/12", 404, "its id has 32 hexadecimal digits"},
		{"GET", "/gopr/sessions/" + strings.Repeat("0", 32), 404, "it has ended, or never was"},
		{"GET", "/gopr/sessions?name=x", 400, `there is no filter \"name\": one of handler, client, state, limit, cursor`},
		{"GET", "/gopr/sessions?state=gone", 400, "one of attached, parked, orphan, away"},
		{"GET", "/gopr/sessions?client=", 400, "client has no value"},
		{"GET", "/gopr/sessions?client=a&client=b", 400, "given 2 times"},
		{"GET", "/gopr/sessions?limit=0", 400, "limit"},
		{"GET", "/gopr/sessions?cursor=7", 400, "is none of this list: leave it out to begin with the first"},
		{"GET", "/gopr/sessions?cursor=" + nextOf(t, "/gopr/messages?limit=1"), 400, "is none of this list"},
		{"GET", "/gopr/sessions?handler=g", 404, `no handler \"g\" keeps sessions: there are [\"h\" \"other\"]`},
		{"DELETE", "/gopr/sessions", 405, "use GET"},
		{"DELETE", "/gopr/sessions/" + strings.Repeat("0", 32), 404, "it has ended, or never was"},
	} {
		if status, body := ask(t, tt.method, tt.uri); status != tt.status || !strings.Contains(body, tt.says) {
			t.Errorf("%s %s: %d %s, want %d and %s", tt.method, tt.uri, status, body, tt.status, tt.says)
		}
	}
}

// The end of a session is that of its connection, and of its messages.
func TestEndSession(t *testing.T) {
	k := keep(t, "h")
	c, here := k.hello("here")
	away := k.away("away", "here", "one")
	for _, id := range []string{here, away} {
		if status, body := ask(t, http.MethodDelete, "/gopr/sessions/"+id); status != 200 || !strings.Contains(body, `"ended":1`) {
			t.Errorf("%d %s", status, body)
		}
		if status, body := ask(t, http.MethodDelete, "/gopr/sessions/"+id); status != 404 {
			t.Errorf("again: %d %s", status, body)
		}
	}
	if err := <-c.ended; !errors.Is(err, delivery.ErrEnded) {
		t.Errorf("the client was told %v", err)
	}
	if s := k.queue.Stat(); s.Messages != 0 {
		t.Errorf("%d messages are left", s.Messages)
	}
}

func TestMessages(t *testing.T) {
	k := keep(t, "h")
	id := k.away("c", "here", "one", "two", "three")
	list := func(uri string) (all []messageView) {
		return askFor[struct{ Messages []messageView }](t, http.MethodGet, uri).Messages
	}
	all := list("/gopr/messages")
	if len(all) != 3 || all[0].State != "failed" || all[0].Retries != 3 || all[1].State != "queued" || all[1].Bytes != 3 || all[1].QoS != 1 || all[1].ID != id+"-down-2" {
		t.Fatalf("%+v", all)
	}
	for uri, want := range map[string]int{
		"/gopr/messages?session=" + id:                      3,
		"/gopr/messages?state=failed":                       1,
		"/gopr/messages?state=queued&direction=down":        2,
		"/gopr/messages?direction=up":                       0,
		"/gopr/messages?handler=h&limit=2":                  2,
		"/gopr/messages?session=" + strings.Repeat("0", 32): 0,
	} {
		if got := len(list(uri)); got != want {
			t.Errorf("%s: %d, not %d", uri, got, want)
		}
	}
	failed, queued := all[0].ID, all[1].ID
	for _, tt := range []struct {
		method, uri string
		status      int
		says        string
	}{
		{"GET", "/gopr/messages?limit=2", 200, `"more":true`},
		{"GET", "/gopr/messages?session=12", 400, "32 hexadecimal digits"},
		{"GET", "/gopr/messages?direction=sideways", 400, "one of up, down"},
		{"GET", "/gopr/messages?state=lost", 400, "one of queued, acknowledged, failed"},
		{"GET", "/gopr/messages?client=c", 400, `there is no filter \"client\"`},
		{"POST", "/gopr/messages/" + queued + "/requeue", 409, "has not failed, it is queued"},
		{"POST", "/gopr/messages/" + failed + "/read", 404, `no verb \"read\" for messages: requeue or drop`},
		{"POST", "/gopr/messages/" + id + "-left-1/drop", 404, "is no message"},
		{"POST", "/gopr/messages/" + id + "-down-0/drop", 404, "is no message"},
		{"POST", "/gopr/messages/" + id + "-down-9/drop", 404, "it was delivered, or has expired"},
		{"POST", "/gopr/messages/1-down-9/drop", 404, "is no message"},
		{"GET", "/gopr/messages/" + failed + "/drop", 405, "use POST"},
		{"POST", "/gopr/messages/" + queued + "/drop", 200, `"done":"drop"`},
		{"POST", "/gopr/messages/" + queued + "/drop", 404, "it was delivered, or has expired"},
		{"POST", "/gopr/messages/" + failed + "/requeue", 200, `"done":"requeue"`},
	} {
		if status, body := ask(t, tt.method, tt.uri); status != tt.status || !strings.Contains(body, tt.says) {
			t.Errorf("%s %s: %d %s, want %d and %s", tt.method, tt.uri, status, body, tt.status, tt.says)
		}
	}
	if all = list("/gopr/messages?session=" + id); len(all) != 2 || all[0].Message != 3 || all[1].Message != 4 || all[1].State != "queued" {
		t.Errorf("afterwards: %+v", all)
	}
}

// What another gateway has is its to change.
func TestSessionsOfOthers(t *testing.T) {
	k := keep(t, "h")
	v := service{"h", k.service}
	for _, err := range []error{session.ErrOwned, session.ErrFenced, queue.ErrFenced} {
		if got := sessionFault(v, session.NewID(), "there", err); !strings.Contains(got.Error(), "is with the gateway there: ask that one") {
			t.Errorf("%v: %v", err, got)
		}
	}
}

// Counts go on where a service ends and another takes its place; what there is, is of those that run.
func TestSessionMetrics(t *testing.T) {
	handler := fmt.Sprint(t.Name(), time.Now().UnixNano()) // what was counted outlives the test
	series := func() map[string]float64 {
		reg := prometheus.NewPedanticRegistry()
		reg.MustRegister(sessionMetrics{})
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		all := make(map[string]float64)
		for _, f := range families {
			for _, m := range f.GetMetric() {
				name, of := strings.TrimPrefix(f.GetName(), "caddy_gopr_"), false
				for _, l := range m.GetLabel() {
					if l.GetName() == "handler" {
						of = l.GetValue() == handler
					} else {
						name += " " + l.GetValue()
					}
				}
				if of {
					all[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
				}
			}
		}
		return all
	}
	expect := func(want map[string]float64) {
		t.Helper()
		got := series()
		for name, v := range want {
			if g, there := got[name]; !there || g != v {
				t.Errorf("%s is %v (%t), not %v", name, g, there, v)
			}
		}
	}
	if len(series()) != 0 {
		t.Error("series of a handler that has no sessions")
	}
	first := keep(t, handler)
	first.hello("a")
	first.hello("b")
	first.away("c", "there", "one", "two")
	expect(map[string]float64{
		"sessions attached": 2, "sessions parked": 0, "session_hellos_total new": 2, "queue_messages": 2, "queue_bytes": 2*64 + 6,
		"store_up queue": 1, "store_up sessions": 1, "messages_failed_total down": 0, "messages_dropped_total expired": 0,
	})
	if age := series()["queue_oldest_seconds"]; age <= 0 || age > 60 {
		t.Errorf("the oldest is %v s old", age)
	}
	second := keep(t, handler)
	second.hello("d")
	expect(map[string]float64{"sessions attached": 3, "session_hellos_total new": 3})
	first.end()
	expect(map[string]float64{"sessions attached": 1, "session_hellos_total new": 3, "queue_messages": 0, "queue_oldest_seconds": 0})
	second.end()
	expect(map[string]float64{"sessions attached": 0, "session_hellos_total new": 3})
}

// nextOf is the cursor that an answer ends with; "": it was the last.
func nextOf(t *testing.T, uri string) string {
	t.Helper()
	return askFor[struct{ Next string }](t, http.MethodGet, uri).Next
}

// TestListPages: whoever goes on behind the last sees all that is there all the time, once, over handlers and states, while others come and go.
func TestListPages(t *testing.T) {
	keepers := []*keeper{keep(t, "a"), keep(t, "b"), keep(t, "c")}
	want := make(map[string]bool) // sessions and messages, by id
	for i, k := range keepers {
		for n := range 7 {
			id := k.away(fmt.Sprint("meter-", n), "there", "one", "two", "three")
			want[id], want[id+"-down-1"], want[id+"-down-2"], want[id+"-down-3"] = true, true, true, true
		}
		if i != 1 {
			_, id := k.hello("\xfflive")
			want[id] = true
		}
	}
	got := make(map[string]bool)
	for _, of := range []string{"sessions", "messages"} {
		for cursor, n := "", 0; ; n++ {
			answer := askFor[map[string]json.RawMessage](t, http.MethodGet, "/gopr/"+of+"?limit=2"+cursor)
			var all []struct{ ID string }
			if err := json.Unmarshal(answer[of], &all); err != nil || len(all) == 0 {
				t.Fatalf("%v in %s", err, answer)
			}
			for _, one := range all {
				if got[one.ID] {
					t.Errorf("%s comes twice", one.ID)
				}
				got[one.ID] = true
			}
			if answer["next"] == nil {
				break
			}
			if of == "sessions" && n < 5 { // one behind the cursor, one before it
				keepers[0].away(fmt.Sprint("+", n), "there")
				keepers[2].away(fmt.Sprint("z", n), "there")
			}
			var next string
			_ = json.Unmarshal(answer["next"], &next)
			cursor = "&cursor=" + next
		}
	}
	for id := range want {
		if !got[id] {
			t.Errorf("%s was never shown", id)
		}
	}
}
