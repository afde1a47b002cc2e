package keepalive

import (
	"fmt"
	"math"
	"net"
	"time"
)

// What a [TCP] stands for where it names nothing: the values that Go's own
// listeners and dialers set.
const (
	DefaultTCPIdle     = 15 * time.Second
	DefaultTCPInterval = 15 * time.Second
	DefaultTCPCount    = 9
)

// What the Linux kernel accepts (MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL,
// MAX_TCP_KEEPCNT in net/tcp.h; TCP_USER_TIMEOUT is an int of milliseconds).
const (
	maxTCPSeconds     = 32767
	maxTCPCount       = 127
	maxTCPUserTimeout = math.MaxInt32 * time.Millisecond
)

// TCP is the kernel's keepalive of a connection, the second line of defence
// behind the [Heartbeat]: it finds a host that is gone, where the heartbeat finds
// a program that is stuck. The zero value is Go's default, on.
type TCP struct {
	// Idle is how long a connection is quiet before it is probed, in whole
	// seconds (rounded up). 0: 15 s.
	Idle time.Duration
	// Interval is the time between probes, in whole seconds (rounded up). 0: 15 s.
	Interval time.Duration
	// Count is how many probes may go unanswered. 0: 9.
	Count int
	// Off turns probes and the user timeout off.
	Off bool
}

// WithDefaults returns the settings as the kernel gets them: zero fields
// replaced by the defaults, times rounded up to whole seconds.
func (t TCP) WithDefaults() TCP {
	if t.Idle == 0 {
		t.Idle = DefaultTCPIdle
	}
	if t.Interval == 0 {
		t.Interval = DefaultTCPInterval
	}
	if t.Count == 0 {
		t.Count = DefaultTCPCount
	}
	t.Idle, t.Interval = wholeSeconds(t.Idle), wholeSeconds(t.Interval)
	return t
}

// Validate says what is wrong with the settings, and what would be right.
func (t TCP) Validate() error {
	for _, f := range []struct {
		name  string
		value time.Duration
	}{{"idle", t.Idle}, {"interval", t.Interval}} {
		if f.value < 0 || f.value > maxTCPSeconds*time.Second {
			return fmt.Errorf("tcp keepalive %s %v is out of range: give 1s to %ds, or 0 for 15s", f.name, f.value, maxTCPSeconds)
		}
	}
	if t.Count < 0 || t.Count > maxTCPCount {
		return fmt.Errorf("tcp keepalive count %d is out of range: give 1 to %d, or 0 for %d", t.Count, maxTCPCount, DefaultTCPCount)
	}
	return nil
}

// UserTimeout is what TCP_USER_TIMEOUT is set to: Idle + Interval·Count, the
// time in which keepalive gives up a connection that is idle. Keepalive does not
// probe while sent data is unacknowledged, and retransmissions go on for some 15
// minutes by themselves; with the user timeout, they end as early. 0 (the
// kernel's own choice) when Off. At most 24.8 days, the most that fits the
// option. See tcp(7).
func (t TCP) UserTimeout() time.Duration {
	if t.Off {
		return 0
	}
	t = t.WithDefaults()
	return min(t.Idle+t.Interval*time.Duration(t.Count), maxTCPUserTimeout)
}

// Apply sets SO_KEEPALIVE, its times and, on Linux, TCP_USER_TIMEOUT on an open
// connection; other systems have no such option, and probes are all they get.
// The settings should be valid. After an error the connection works as before,
// only less well guarded.
func (t TCP) Apply(c *net.TCPConn) error {
	d := t.WithDefaults()
	err := c.SetKeepAliveConfig(net.KeepAliveConfig{
		Enable:   !d.Off,
		Idle:     d.Idle,
		Interval: d.Interval,
		Count:    d.Count,
	})
	if err != nil {
		return fmt.Errorf("keepalive: setting TCP keepalive: %w", err)
	}
	if err := setUserTimeout(c, t.UserTimeout()); err != nil {
		return fmt.Errorf("keepalive: setting TCP_USER_TIMEOUT: %w", err)
	}
	return nil
}

// wholeSeconds rounds up, as net does before it hands seconds to the kernel.
func wholeSeconds(d time.Duration) time.Duration {
	if rest := d % time.Second; rest > 0 {
		return d - rest + time.Second
	}
	return d
}
