package keepalive

import (
	"net"
	"syscall"
	"testing"
)

// sockets is what the kernel says about a connection, in its own units.
type sockets struct{ on, idle, interval, count, userTimeoutMs int }

func readSockets(t *testing.T, c *net.TCPConn) (s sockets) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		for _, o := range []struct {
			level, option int
			into          *int
		}{
			{syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, &s.on},
			{syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, &s.idle},
			{syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, &s.interval},
			{syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, &s.count},
			{syscall.IPPROTO_TCP, 18, &s.userTimeoutMs},
		} {
			v, err := syscall.GetsockoptInt(int(fd), o.level, o.option)
			if err != nil {
				t.Errorf("getsockopt(%d, %d): %v", o.level, o.option, err)
			}
			*o.into = v
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTCPApply(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		tcp  TCP
		want sockets
	}{
		{"defaults", TCP{}, sockets{1, 15, 15, 9, 150_000}},
		{"as set", TCP{Idle: 60 * sec, Interval: 10 * sec, Count: 3}, sockets{1, 60, 10, 3, 90_000}},
		{"rounded up", TCP{Idle: 1200 * ms, Interval: 200 * ms, Count: 2}, sockets{1, 2, 1, 2, 4000}},
		{
			"the most",
			TCP{Idle: 32767 * sec, Interval: 32767 * sec, Count: 127},
			sockets{1, 32767, 32767, 127, 1<<31 - 1},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dialed, accepted := loopback(t)
			for _, c := range []*net.TCPConn{dialed, accepted} {
				if err := tt.tcp.Apply(c); err != nil {
					t.Fatal(err)
				}
				if got := readSockets(t, c); got != tt.want {
					t.Errorf("the kernel has %+v, want %+v", got, tt.want)
				}
			}
		})
	}
}

// A reload may turn keepalive off, and on again, under a live connection.
func TestTCPApplyAgain(t *testing.T) {
	t.Parallel()
	c, _ := loopback(t)
	for i, step := range []struct {
		tcp         TCP
		on, timeout int
	}{
		{TCP{}, 1, 150_000},
		{TCP{Off: true}, 0, 0},
		{TCP{Idle: sec, Interval: sec, Count: 1}, 1, 2000},
	} {
		if err := step.tcp.Apply(c); err != nil {
			t.Fatal(err)
		}
		if got := readSockets(t, c); got.on != step.on || got.userTimeoutMs != step.timeout {
			t.Errorf("step %d: the kernel has %+v, want keepalive %d and a user timeout of %d ms",
				i, got, step.on, step.timeout)
		}
	}
}

// Values the kernel refuses come back as its error, with the option's name.
func TestTCPApplyReportsTheKernelsRefusal(t *testing.T) {
	t.Parallel()
	c, _ := loopback(t)
	bad := TCP{Count: 1000}
	if bad.Validate() == nil {
		t.Error("Validate accepts what the kernel does not")
	}
	checkSentence(t, bad.Apply(c), []string{"keepalive: setting TCP keepalive", "invalid argument"})
}
