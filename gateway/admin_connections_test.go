package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"
)

type connectionsPage struct {
	Connections []connectionView `json:"connections"`
	Next        string           `json:"next"`
}

func (p *connectionsPage) ids() (all []string) {
	for _, c := range p.Connections {
		all = append(all, c.ID)
	}
	return all
}

// TestGetConnections pins the names of the fields: scripts go by them.
func TestGetConnections(t *testing.T) {
	l := live(t, "")
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	c := join(t, l, func(i *Info) {
		i.State, i.TLSSubject, i.Client, i.Session, i.Links = StateActive, "CN=a", "meter", "3f0c", []Link{{"devices", "10.0.0.1:9000", 6}, {Group: "devices:0x10"}}
		i.Since, i.LastFrame, i.LastHeard, i.RTT = at, at.Add(time.Second), at.Add(2*time.Second), 1500*time.Microsecond
		i.FramesIn, i.FramesOut, i.BytesIn, i.BytesOut, i.Unsent, i.Unanswered = 1, 2, 3, 4, 5, 6
	})
	plain := join(t, l, func(i *Info) { i.Since, i.Unsent = at, -1 })
	status, body := ask(t, http.MethodGet, "/gopr/connections?handler="+l.Name)
	want := fmt.Sprintf(`{"connections":[
{"id":%q,"handler":%[2]q,"remote":"10.0.0.1:40000","local":"10.0.0.9:7450","tls_subject":"CN=a","client":"meter","session":"3f0c","state":"active","since":"2026-05-04T03:02:01Z","last_frame":"2026-05-04T03:02:02Z","last_heard":"2026-05-04T03:02:03Z","rtt_seconds":0.0015,"frames_in":1,"frames_out":2,"bytes_in":3,"bytes_out":4,"pending":5,"unanswered":6,"upstreams":[{"group":"devices","backend":"10.0.0.1:9000","unanswered":6},{"group":"devices:0x10","unanswered":0}]}
,{"id":%[3]q,"handler":%[2]q,"remote":"10.0.0.1:40000","local":"10.0.0.9:7450","state":"idle","since":"2026-05-04T03:02:01Z","frames_in":0,"frames_out":0,"bytes_in":0,"bytes_out":0,"pending":0,"unanswered":0}
]}
`, c.ID(), l.Name, plain.ID())
	if status != http.StatusOK || body != want {
		t.Errorf("%d %s\nwant %s", status, body, want)
	}
}

// TestPages: pages have all connections once, in order, also of handlers that change meanwhile.
func TestPages(t *testing.T) {
	l := live(t, "")
	var want []string
	var all []*client
	for range 250 {
		c := join(t, l, nil)
		all, want = append(all, c), append(want, c.ID().String())
	}
	uri := "/gopr/connections?handler=" + l.Name
	var got []string
	for cursor, n := "", 0; ; n++ {
		page := askFor[connectionsPage](t, http.MethodGet, uri+cursor)
		got = append(got, page.ids()...)
		if page.Next == "" {
			break
		}
		l.Remove(all[n]) // of those seen, and the one that the cursor names: the place stays
		l.Remove(all[len(got)-1])
		join(t, l, nil)
		cursor = "&cursor=" + url.QueryEscape(page.Next)
	}
	if !slices.Equal(got[:len(want)], want) {
		t.Errorf("%d connections, not those there are", len(got))
	}
	if n := len(askFor[connectionsPage](t, http.MethodGet, uri+"&limit=7").Connections); n != 7 {
		t.Errorf("limit 7: %d", n)
	}
}

func TestGetConnection(t *testing.T) {
	l := live(t, "")
	at := time.Date(2026, 5, 4, 3, 2, 1, 5e6, time.UTC)
	c := join(t, l, nil)
	c.recent = []Frame{
		{At: at, Heartbeat: true, Cmd: 1, Flag: 1, Bytes: 26, Times: 7},
		{At: at, Cmd: 16, Bytes: 74, Times: 1},
		{At: at, Out: true, Cmd: 16, Flag: 2, Bytes: 74, Times: 1},
		{At: at, Rejected: "command", Bytes: 11},
	}
	status, body := ask(t, http.MethodGet, "/gopr/connections/"+c.ID().String())
	var got struct {
		ID     string            `json:"id"`
		Frames []json.RawMessage `json:"frames"`
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil || status != http.StatusOK || got.ID != c.ID().String() {
		t.Fatalf("%d %s: %v", status, body, err)
	}
	want := []string{
		`{"at":"2026-05-04T03:02:01.005Z","direction":"in","heartbeat":true,"cmd":1,"flag":1,"bytes":26,"times":7}`,
		`{"at":"2026-05-04T03:02:01.005Z","direction":"in","cmd":16,"flag":0,"bytes":74}`,
		`{"at":"2026-05-04T03:02:01.005Z","direction":"out","cmd":16,"flag":2,"bytes":74}`,
		`{"at":"2026-05-04T03:02:01.005Z","direction":"in","rejected":"command","bytes":11}`,
	}
	for i := range want {
		if i >= len(got.Frames) || string(got.Frames[i]) != want[i] {
			t.Errorf("frame %d of %s\nwant %s", i, got.Frames, want[i])
		}
	}
}

func TestDeleteConnections(t *testing.T) {
	l, other := live(t, "/a"), live(t, "/b")
	near := join(t, l, nil)
	far := join(t, l, func(i *Info) { i.Remote = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} })
	bystander := join(t, other, nil)

	for _, tt := range []struct{ uri, says string }{
		{"/gopr/connections", "this would close every connection: say which with a filter"},
		{"/gopr/connections?limit=5", "this would close every connection"},
		{"/gopr/connections?all=yes", `all \"yes\": true, or leave it out`},
		{"/gopr/connections?all=true&handler=a", "all=true and a filter: say one of them"},
		{"/gopr/connections?handeler=a", "there is no filter"},
		{"/gopr/connections?cursor=a&handler=a", "there is no filter"},
		{"/gopr/connections?handler=a&limit=0", "limit"},
	} {
		if status, body := ask(t, http.MethodDelete, tt.uri); status != http.StatusBadRequest || !contains(body, tt.says) {
			t.Errorf("%s: %d %s, want %s", tt.uri, status, body, tt.says)
		}
	}
	expect := func(uri string, n int, ended ...*client) {
		t.Helper()
		if got := askFor[closedView](t, http.MethodDelete, uri).Closed; got != n {
			t.Errorf("%s: %d closed, want %d", uri, got, n)
		}
		for _, c := range []*client{near, far, bystander} {
			if is := c.ended() == ReasonKilled; is != slices.Contains(ended, c) {
				t.Errorf("%s: %v has ended: %v", uri, c.info.Remote, is)
			}
		}
	}
	expect("/gopr/connections?handler=nobody", 0)
	expect("/gopr/connections?remote=192.0.2.0/24", 1, far)
	expect("/gopr/connections?limit=1&handler="+l.Name, 1, far, near)
	expect("/gopr/connections/"+bystander.ID().String(), 1, far, near, bystander)
}

func TestDeleteAll(t *testing.T) {
	l := live(t, "")
	c := join(t, l, nil)
	if got := askFor[closedView](t, http.MethodDelete, "/gopr/connections?all=true").Closed; got < 1 || c.ended() != ReasonKilled {
		t.Errorf("%d closed", got)
	}
}

func TestConnectionsErrors(t *testing.T) {
	l := live(t, "")
	c := join(t, l, nil)
	l.Remove(c)
	for _, tt := range []struct {
		method, uri string
		status      int
		says        string
	}{
		{http.MethodGet, "/gopr/connections?state=x", http.StatusBadRequest, "there is no state"},
		{http.MethodGet, "/gopr/connections?limit=0", http.StatusBadRequest, "limit \\\"0\\\" is not from 1 to 10000"},
		{http.MethodGet, "/gopr/connections?limit=10001", http.StatusBadRequest, "is not from 1 to 10000"},
		{http.MethodGet, "/gopr/connections?cursor=7", http.StatusBadRequest, "cursor: \\\"7\\\" is no connection's id"},
		{http.MethodPost, "/gopr/drain?handeler=devices", http.StatusBadRequest, "there is no parameter \\\"handeler\\\": handler, grace or drain"},
		{http.MethodPost, "/gopr/connections", http.StatusMethodNotAllowed, "use DELETE, GET"},
		{http.MethodGet, "/gopr/connections/7", http.StatusNotFound, "is no connection's id"},
		{http.MethodGet, "/gopr/connections/" + c.ID().String(), http.StatusNotFound, "it has ended, or never was"},
		{http.MethodDelete, "/gopr/connections/" + c.ID().String(), http.StatusNotFound, "it has ended, or never was"},
	} {
		if status, body := ask(t, tt.method, tt.uri); status != tt.status || !contains(body, tt.says) {
			t.Errorf("%s %s: %d %s, want %d and %s", tt.method, tt.uri, status, body, tt.status, tt.says)
		}
	}
}

// gone is an admin client that has read a little of its answer, and gone.
type gone struct {
	http.ResponseWriter
	left int
}

func (g *gone) Header() http.Header { return http.Header{} }
func (g *gone) WriteHeader(int)     {}

func (g *gone) Write(b []byte) (int, error) {
	if g.left -= len(b); g.left < 0 {
		return 0, errors.New("gone")
	}
	return len(b), nil
}

// TestListingEndsWithItsReader: nobody reads, so nothing more is looked at.
func TestListingEndsWithItsReader(t *testing.T) {
	l := newList(&gone{left: 64 << 10}, "connections")
	n := 0
	for ; n < 1e6 && l.add(connectionView{ID: "x"}); n++ {
	}
	l.end()
	if n == 1e6 {
		t.Error("the listing goes on though nobody reads")
	}
}
