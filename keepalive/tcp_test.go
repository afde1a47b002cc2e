package keepalive

import (
	"errors"
	"math"
	"net"
	"testing"
	"time"
)

func TestTCPDefaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		in, want TCP
	}{
		{"Go's own", TCP{}, TCP{15 * sec, 15 * sec, 9, false}},
		{"as set", TCP{60 * sec, 10 * sec, 3, false}, TCP{60 * sec, 10 * sec, 3, false}},
		{"rounded up to what the kernel takes", TCP{1500 * ms, 1, 3, false}, TCP{2 * sec, sec, 3, false}},
		{"off stays off", TCP{Off: true}, TCP{15 * sec, 15 * sec, 9, true}},
	} {
		if got := tt.in.WithDefaults(); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestTCPUserTimeout(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		in   TCP
		want time.Duration
	}{
		{"defaults: 15 + 9·15", TCP{}, 150 * sec},
		{"60 + 3·10", TCP{Idle: 60 * sec, Interval: 10 * sec, Count: 3}, 90 * sec},
		{"2 + 2·1, rounded up", TCP{Idle: 1200 * ms, Interval: 200 * ms, Count: 2}, 4 * sec},
		{"off", TCP{Idle: 60 * sec, Off: true}, 0},
		{
			"the most that fits an int of milliseconds",
			TCP{Idle: 32767 * sec, Interval: 32767 * sec, Count: 127},
			math.MaxInt32 * ms,
		},
	} {
		if got := tt.in.UserTimeout(); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestTCPValidate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		tcp  TCP
		want []string
	}{
		{TCP{}, nil},
		{TCP{Off: true}, nil},
		{TCP{Idle: sec, Interval: sec, Count: 1}, nil},
		{TCP{Idle: 32767 * sec, Interval: 32767 * sec, Count: 127}, nil},
		{TCP{Idle: -sec}, []string{"idle -1s", "1s to 32767s"}},
		{TCP{Idle: 32768 * sec}, []string{"idle 9h6m8s", "32767s"}},
		{TCP{Interval: -sec}, []string{"interval -1s"}},
		{TCP{Interval: 32768 * sec}, []string{"interval 9h6m8s"}},
		{TCP{Count: -1}, []string{"count -1", "1 to 127"}},
		{TCP{Count: 128}, []string{"count 128", "1 to 127"}},
	} {
		checkSentence(t, tt.tcp.Validate(), tt.want)
	}
}

func TestTCPApplyToAClosedConnection(t *testing.T) {
	t.Parallel()
	c, _ := loopback(t)
	c.Close()
	if err := (TCP{}).Apply(c); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want net.ErrClosed within", err)
	}
}

// loopback returns the two ends of a TCP connection, closed after the test.
func loopback(t *testing.T) (client, server *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialed, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialed.Close() })
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { accepted.Close() })
	return dialed.(*net.TCPConn), accepted.(*net.TCPConn)
}
