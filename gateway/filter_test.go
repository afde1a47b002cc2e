package gateway

import (
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

func TestFilter(t *testing.T) {
	now := time.Now()
	i := Info{
		State: StatePaused, Remote: &net.TCPAddr{IP: net.ParseIP("::ffff:10.1.2.3"), Port: 5000}, TLSSubject: "CN=meter-17,O=Fleet", Client: "meter",
		Since: now.Add(-time.Hour), LastFrame: now.Add(-time.Minute), Unsent: 70_000,
		Links: []Link{{Group: "devices", Backend: "10.0.0.7:9000"}, {Group: "devices:0x10", Backend: "10.0.0.1:9000"}},
	}
	v6 := i
	v6.Remote = &net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 5000}
	silent := i
	silent.LastFrame = time.Time{}
	unix := i
	unix.Remote = &net.UnixAddr{Name: "/run/x.sock"}
	for _, tt := range []struct {
		query string
		of    Info
		want  bool
	}{
		{"", i, true},
		{"handler=devices", i, true},
		{"handler=device", i, false},
		{"remote=10.1.2.3", i, true},
		{"remote=10.1.2.4", i, false},
		{"remote=10.1.2.3:5000", i, true},
		{"remote=10.1.2.3:5001", i, false},
		{"remote=10.1.0.0/16", i, true},
		{"remote=10.2.0.0/16", i, false},
		{"remote=2001:db8::/32", v6, true},
		{"remote=2001:db8::1", v6, true},
		{"remote=[2001:db8::1]:5000", v6, true},
		{"remote=[2001:db8::1]:5001", v6, false},
		{"remote=::/0", i, false},
		{"remote=0.0.0.0/0", unix, false},
		{"upstream=10.0.0.1:9000", i, true},
		{"upstream=devices:0x10", i, true},
		{"upstream=devices", i, true},
		{"upstream=10.0.0.2:9000", i, false},
		{"tls_subject=meter-17", i, true},
		{"tls_subject=meter-18", i, false},
		{"client=meter", i, true},
		{"client=met", i, false},
		{"state=paused", i, true},
		{"state=idle", i, false},
		{"older_than=30m", i, true},
		{"older_than=61m", i, false},
		{"younger_than=61m", i, true},
		{"younger_than=30m", i, false},
		{"younger_than=1d", i, true},
		{"idle_for=59s", i, true},
		{"idle_for=61s", i, false},
		{"idle_for=59m", silent, true},
		{"idle_for=61m", silent, false},
		{"min_pending=64KiB", i, true},
		{"min_pending=70001", i, false},
		{"handler=devices&remote=10.0.0.0/8&older_than=30m&state=paused", i, true},
		{"handler=devices&remote=10.0.0.0/8&older_than=30m&state=active", i, false},
	} {
		q, err := url.ParseQuery(tt.query)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parseFilter(q, liveKeys)
		if err != nil {
			t.Errorf("%s: %v", tt.query, err)
			continue
		}
		if f.set != (tt.query != "") {
			t.Errorf("%s: set is %v", tt.query, f.set)
		}
		if got := f.matches("devices", &tt.of, now); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.query, got, tt.want)
		}
	}
}

// TestFilterErrors: what is not understood chooses nothing, and the error says what would be right.
func TestFilterErrors(t *testing.T) {
	for _, tt := range []struct{ query, says string }{
		{"handeler=devices", `there is no filter "handeler": one of handler, remote, upstream, tls_subject, client, older_than, younger_than, state, idle_for, min_pending, limit`},
		{"reason=eof", `there is no filter "reason"`},
		{"handler=a&handler=b", "handler is given 2 times: give it once"},
		{"handler=", "handler has no value: give one, or leave it out"},
		{"remote=example.com", `remote "example.com" is no address: give one such as 10.1.2.3, 10.1.2.3:51234, 10.1.0.0/16 or [2001:db8::1]:51234`},
		{"remote=10.1.2.3:99999", "is no address"},
		{"remote=10.1.2.0/33", "is no address"},
		{"state=busy", `there is no state "busy": one of active, idle, waiting, paused, leaving, draining, closing`},
		{"older_than=5", `older_than "5" is no time: give one such as 90s, 10m or 2d`},
		{"younger_than=-1s", "is no time"},
		{"idle_for=soon", `idle_for "soon" is no time`},
		{"min_pending=much", `min_pending "much" is no size: give one such as 64KiB`},
	} {
		q, err := url.ParseQuery(tt.query)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseFilter(q, liveKeys, "limit"); err == nil || !contains(err.Error(), tt.says) {
			t.Errorf("%s: %v\nwant %s", tt.query, err, tt.says)
		}
	}
}
