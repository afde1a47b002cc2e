package upstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
	"github.com/caddy-gopr/caddy-gopr/keepalive"
)

// Records is the kind of DNS records that name backends.
type Records string

// The kinds.
const (
	RecordsA   Records = "a"   // A and AAAA: the addresses of a name; the port is given
	RecordsSRV Records = "srv" // SRV: names and ports, with priorities and weights
)

// Discovery finds backends of a [Group] by DNS, again and again, beside those that are configured. What appears is used, what disappears is drained: its links end with what was asked over
// them. The last good answer counts until there is another: one that is an error, or empty, changes nothing.
type Discovery struct {
	Records Records
	// Name is what is looked up, as it is: for SRV such as _gopr._tcp.example.com.
	Name string
	// Port is the backends' port, for A.
	Port int
	// Refresh is the time between lookups, give or take a tenth. 0: 30 s. After a lookup that failed it is shorter: 1 s, 1.5 s, 2.25 s, and on up to Refresh.
	Refresh time.Duration
	// Resolvers are the DNS servers to ask, host:port, each time one of them; names of backends are resolved by them, too. Empty: the system's.
	Resolvers []string
	// DialTimeout bounds a lookup. 0: 5 s.
	DialTimeout time.Duration
	// Versions are the versions of IP whose addresses are used, for A: ipv4, ipv6. Empty: both.
	Versions []string
	// AllowLoopback takes backends on the gateway's own loopback. Otherwise they are ignored: an answer that names them is a mistake, or an attack on what listens there.
	AllowLoopback bool
	// Lookup replaces the lookup, for tests and other sources. Found may have any order. nil: DNS.
	Lookup func(ctx context.Context) ([]Found, error)
}

// Found is a backend that a lookup found.
type Found struct {
	Addr   string // host:port
	Weight int    // its share in relation to others'; 0 stands for 1
}

const (
	defaultRefresh    = 30 * time.Second
	defaultDNSTimeout = 5 * time.Second

	// maxFound is how many backends are taken of an answer.
	maxFound = 1000
)

var errNoneFound = errors.New("the answer names no backend")

func (d Discovery) withDefaults() Discovery {
	if d.Refresh == 0 {
		d.Refresh = defaultRefresh
	}
	if d.DialTimeout == 0 {
		d.DialTimeout = defaultDNSTimeout
	}
	return d
}

// Validate says what is wrong with the settings, and what would be right.
func (d Discovery) Validate() error {
	switch {
	case d.Lookup != nil:
	case d.Records != RecordsA && d.Records != RecordsSRV:
		return fmt.Errorf("unknown kind of dynamic upstreams %q: `dynamic a backend.example.com 9000` or `dynamic srv _gopr._tcp.example.com`", d.Records)
	case d.Name == "":
		return fmt.Errorf("dynamic %s has no name to look up: write it as `dynamic a backend.example.com 9000` or `dynamic srv _gopr._tcp.example.com`", d.Records)
	case d.Records == RecordsA && (d.Port < 1 || d.Port > 65535):
		return fmt.Errorf("dynamic a %s has no valid port: write it as `dynamic a %s 9000`", d.Name, d.Name)
	case d.Records == RecordsSRV && d.Port != 0:
		return fmt.Errorf("dynamic srv %s has a port, but the records name it: remove %d", d.Name, d.Port)
	case d.Records == RecordsSRV && len(d.Versions) > 0:
		return errors.New("versions are for `dynamic a`: srv records name hosts, which are resolved at each dial")
	}
	for _, v := range d.Versions {
		if v != "ipv4" && v != "ipv6" {
			return fmt.Errorf("unknown version %q of IP: ipv4 or ipv6", v)
		}
	}
	for _, r := range d.Resolvers {
		if _, port, err := net.SplitHostPort(r); err != nil || port == "" {
			return fmt.Errorf("resolver %q is no address: write it as host:port, such as 10.0.0.53:53", r)
		}
	}
	switch {
	case d.Refresh < 0:
		return fmt.Errorf("refresh %v is negative: give a time such as 30s", d.Refresh)
	case d.DialTimeout < 0:
		return fmt.Errorf("dynamic dial_timeout %v is negative: give a time such as 5s", d.DialTimeout)
	}
	return nil
}

// find looks up once. ignored is how many records are not used, being too many or unfit.
func (d *Discovery) find(ctx context.Context, r *net.Resolver) (found []Found, ignored int, err error) {
	ctx, cancel := context.WithTimeout(ctx, d.DialTimeout)
	defer cancel()
	var all []Found
	switch {
	case d.Lookup != nil:
		all, err = d.Lookup(ctx)
	case d.Records == RecordsSRV:
		all, err = lookupSRV(ctx, r, d.Name)
	default:
		all, err = d.lookupA(ctx, r)
	}
	if err != nil && len(all) == 0 { // an error beside records is about others
		return nil, 0, err
	}
	n := len(all)
	all = slices.DeleteFunc(all, func(f Found) bool { return !d.fit(f.Addr) })
	slices.SortFunc(all, func(a, b Found) int { return cmp.Compare(a.Addr, b.Addr) }) // always the same ones, of too many
	all = slices.CompactFunc(all, func(a, b Found) bool { return a.Addr == b.Addr })
	all = all[:min(len(all), maxFound)]
	if len(all) == 0 {
		err = errNoneFound
		if n > 0 {
			err = fmt.Errorf("%w that may be used, of %d: loopback addresses need allow_loopback", errNoneFound, n)
		}
		return nil, n, err
	}
	return all, n - len(all), nil
}

// fit says whether a backend may be at an address.
func (d *Discovery) fit(addr string) bool {
	if _, _, err := splitBackend(addr); err != nil {
		return false
	}
	host, _, _ := net.SplitHostPort(addr)
	ip, err := netip.ParseAddr(host)
	if err != nil { // a name: what it stands for is looked at when it is dialled
		return true
	}
	return !ip.IsUnspecified() && !ip.IsMulticast() && (d.AllowLoopback || !ip.Unmap().IsLoopback())
}

func (d *Discovery) lookupA(ctx context.Context, r *net.Resolver) ([]Found, error) {
	network := "ip"
	if len(d.Versions) == 1 {
		network = map[string]string{"ipv4": "ip4", "ipv6": "ip6"}[d.Versions[0]]
	}
	ips, err := r.LookupNetIP(ctx, network, d.Name)
	var all []Found
	for _, ip := range ips {
		all = append(all, Found{Addr: net.JoinHostPort(ip.Unmap().String(), strconv.Itoa(d.Port))})
	}
	return all, err
}

// lookupSRV returns the targets of the lowest priority.
func lookupSRV(ctx context.Context, r *net.Resolver, name string) ([]Found, error) {
	_, records, err := r.LookupSRV(ctx, "", "", name)
	var all []Found
	for _, rec := range records { // sorted by priority
		target := strings.TrimSuffix(rec.Target, ".")
		if rec.Priority != records[0].Priority || target == "" { // `.`: there is no such service
			continue
		}
		all = append(all, Found{Addr: net.JoinHostPort(target, strconv.Itoa(int(rec.Port))), Weight: int(rec.Weight)})
	}
	return all, err
}

// resolver returns what is asked, also for the names that are found.
func (d *Discovery) resolver() *net.Resolver {
	if d == nil || len(d.Resolvers) == 0 {
		return net.DefaultResolver
	}
	return &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, d.Resolvers[rand.IntN(len(d.Resolvers))])
		},
	}
}

// discover looks up until the group ends.
func (g *Group) discover(d *Discovery) {
	r := d.resolver()
	retry := client.NewRetry(Reconnect{Max: max(d.Refresh, time.Second), Jitter: 0.1, Attempts: -1})
	for {
		found, ignored, err := d.find(g.ctx, r)
		wait := keepalive.Jitter(d.Refresh, 0.1)
		now := time.Now()
		if err != nil {
			wait, _ = retry.Failed(now)
			wait = min(wait, keepalive.Jitter(d.Refresh, 0.1))
		} else {
			retry.Reset()
		}
		g.found(found, ignored, err, now)
		select {
		case <-g.ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// DiscoveryStat is what became of the lookups.
type DiscoveryStat struct {
	Name    string    `json:"name"`            // what is looked up
	Found   int       `json:"found"`           // backends in the last good answer
	Ignored int       `json:"ignored"`         // records in it that are not used: too many, or unfit
	At      time.Time `json:"at,omitzero"`     // when it came; zero: there was none
	Error   string    `json:"error,omitempty"` // why the last lookup failed; "": it did not
	Lookups uint64    `json:"lookups"`         // so far
	Failed  uint64    `json:"lookups_failed"`  // of these

	unfit bool // the last lookup failed because there was nothing to be used in the answer
}

// found notes an answer, and brings the set of backends in line with it.
func (g *Group) found(all []Found, ignored int, err error, now time.Time) {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return
	}
	s := &g.discovered
	s.Lookups++
	if err != nil {
		s.Failed++
		unfit := errors.Is(err, errNoneFound)
		if s.Error == "" || unfit != s.unfit { // once, and not with each lookup; errors of the network differ in ports alone
			g.note(slog.LevelWarn, "discovery failed, keeping the backends there are", slog.String("name", s.Name), slog.Any("error", err), slog.Int("backends", s.Found))
		}
		s.Error, s.unfit = err.Error(), unfit
		g.unlock(nil)
		return
	}
	if s.Error != "" {
		g.note(slog.LevelInfo, "discovery works again", slog.String("name", s.Name))
	}
	if ignored != s.Ignored && ignored > 0 {
		g.note(slog.LevelWarn, "discovery ignores records: too many, or not fit to be backends", slog.String("name", s.Name), slog.Int("ignored", ignored), slog.Int("most", maxFound))
	}
	s.Found, s.Ignored, s.At, s.Error = len(all), ignored, now, ""
	freed := g.setFound(all, now)
	g.unlock(g.pump(now))
	for _, l := range freed {
		l.release()
	}
	g.serveWaiting()
}
