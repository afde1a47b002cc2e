package gateway

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/dustin/go-humanize"
)

// filter chooses connections. Its zero value takes all.
type filter struct {
	handler     string
	remote      netip.Prefix
	port        uint16 // of the remote; 0: any
	upstream    string // a backend or a group
	subject     string // a part of it
	client      string // as Info has it
	state       string
	reason      string // of those that have ended
	olderThan   time.Duration
	youngerThan time.Duration
	idleFor     time.Duration
	minPending  uint64
	set         bool // anything at all
}

// filterKeys are what all listings can be filtered by, liveKeys what only live connections have, and closedKeys what only those that have ended.
var (
	filterKeys = []string{"handler", "remote", "upstream", "tls_subject", "client", "older_than", "younger_than"}
	liveKeys   = append(slices.Clone(filterKeys), "state", "idle_for", "min_pending")
	closedKeys = append(slices.Clone(filterKeys), "reason")
)

// parseFilter reads a filter out of a query. A word that is neither a filter's nor one of the others is a mistake: it would choose more than was meant.
func parseFilter(q url.Values, keys []string, others ...string) (f filter, err error) {
	for key, values := range q {
		switch {
		case slices.Contains(others, key):
		case !slices.Contains(keys, key):
			return f, fmt.Errorf("there is no filter %q: one of %s", key, strings.Join(slices.Concat(keys, others), ", "))
		default:
			f.set = true
		}
		if len(values) > 1 {
			return f, fmt.Errorf("%s is given %d times: give it once", key, len(values))
		}
		if values[0] == "" {
			return f, fmt.Errorf("%s has no value: give one, or leave it out", key)
		}
	}
	f.handler, f.upstream, f.subject, f.client, f.reason = q.Get("handler"), q.Get("upstream"), q.Get("tls_subject"), q.Get("client"), q.Get("reason")
	if f.state = q.Get("state"); f.state != "" && !slices.Contains(States, f.state) {
		return f, fmt.Errorf("there is no state %q: one of %s", f.state, strings.Join(States, ", "))
	}
	if s := q.Get("remote"); s != "" {
		if err := f.parseRemote(s); err != nil {
			return f, err
		}
	}
	for key, to := range map[string]*time.Duration{"older_than": &f.olderThan, "younger_than": &f.youngerThan, "idle_for": &f.idleFor} {
		if s := q.Get(key); s != "" {
			if *to, err = caddy.ParseDuration(s); err != nil || *to <= 0 {
				return f, fmt.Errorf("%s %q is no time: give one such as 90s, 10m or 2d", key, s)
			}
		}
	}
	if s := q.Get("min_pending"); s != "" {
		if f.minPending, err = humanize.ParseBytes(s); err != nil {
			return f, fmt.Errorf("min_pending %q is no size: give one such as 64KiB", s)
		}
	}
	return f, nil
}

func (f *filter) parseRemote(s string) (err error) {
	if f.remote, err = netip.ParsePrefix(s); err == nil {
		return nil
	}
	addr, err := netip.ParseAddr(s)
	if host, port, split := net.SplitHostPort(s); err != nil && split == nil {
		var n uint64
		if n, err = strconv.ParseUint(port, 10, 16); err == nil {
			f.port = uint16(n)
			addr, err = netip.ParseAddr(host)
		}
	}
	if err != nil {
		return fmt.Errorf("remote %q is no address: give one such as 10.1.2.3, 10.1.2.3:51234, 10.1.0.0/16 or [2001:db8::1]:51234", s)
	}
	addr = addr.Unmap()
	f.remote = netip.PrefixFrom(addr, addr.BitLen())
	return nil
}

// matches looks at what connections have, whether they live or have ended at the given time.
func (f *filter) matches(handler string, i *Info, now time.Time) bool {
	switch age := now.Sub(i.Since); {
	case f.handler != "" && f.handler != handler,
		f.upstream != "" && !slices.ContainsFunc(i.Links, func(l Link) bool { return f.upstream == l.Backend || f.upstream == l.Group }),
		f.subject != "" && !strings.Contains(i.TLSSubject, f.subject),
		f.client != "" && f.client != i.Client,
		f.state != "" && f.state != i.State,
		f.olderThan > 0 && age < f.olderThan,
		f.youngerThan > 0 && age > f.youngerThan,
		uint64(max(0, i.Unsent)) < f.minPending,
		f.idleFor > 0 && now.Sub(i.quietSince()) < f.idleFor:
		return false
	}
	return !f.remote.IsValid() || f.matchesRemote(i.Remote)
}

func (f *filter) matchesRemote(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return false
	}
	at := tcp.AddrPort()
	return f.remote.Contains(at.Addr().Unmap().WithZone("")) && (f.port == 0 || f.port == at.Port())
}

// quietSince is when the last application frame came or went; without one, when the connection came.
func (i *Info) quietSince() time.Time {
	if i.LastFrame.IsZero() {
		return i.Since
	}
	return i.LastFrame
}

const defaultLimit, maxLimit = 100, 10_000

// parseLimit reads how many to list.
func parseLimit(q url.Values) (int, error) {
	s := q.Get("limit")
	if s == "" {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxLimit {
		return 0, fmt.Errorf("limit %q is not from 1 to %d: list page by page, with cursor as the last page's next says", s, maxLimit)
	}
	return n, nil
}

var errAll = errors.New("this would close every connection: say which with a filter such as handler=devices or remote=10.1.0.0/16, or say all=true")
