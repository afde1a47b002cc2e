package upstream

import (
	"log/slog"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
	"github.com/caddy-gopr/caddy-gopr/keepalive"
	"github.com/caddy-gopr/caddy-gopr/upstream/health"
)

// judge brings what is thought of the backends up to date, and with it who takes new work. g.mu is held.
func (g *Group) judge(now time.Time) {
	if !g.cfg.beats() {
		return
	}
	for _, b := range g.backends {
		rep, changed := b.record.Judge(now)
		b.report = rep
		if changed && g.cfg.Health != nil {
			g.note(slog.LevelInfo, "backend is "+string(rep.State), slog.String("backend", b.name), slog.Float64("score", rep.Score),
				slog.Float64("rtt_part", rep.Parts.RTT), slog.Float64("failures_part", rep.Parts.Failures), slog.Float64("tls_part", rep.Parts.TLS))
		}
	}
	g.rank(now)
	if g.cfg.Pooling == Request {
		g.publish()
	}
}

// rank decides which backends new work goes to: those that are fit; where they are too few (panic), all; where none can be expected to answer, the backups. g.mu is held.
func (g *Group) rank(now time.Time) {
	var mains, fit, warming, reserves int
	for _, b := range g.backends {
		switch state := g.weigh(b, now); {
		case !g.open(b):
		case b.backup && state != health.Failing:
			reserves++
		case b.backup:
		default:
			mains++
			switch state {
			case health.Fit:
				fit++
			case health.Warming:
				warming++
			}
		}
	}
	backups := fit+warming == 0 && reserves > 0
	all := !backups && float64(fit) < g.cfg.Panic*float64(mains)
	if all != g.panics {
		g.panics = all
		if all && g.cfg.judges() {
			g.note(slog.LevelWarn, "too few backends are fit: all are used", slog.Int("fit", fit), slog.Int("of", mains))
		}
	}
	if backups != g.backups {
		g.backups = backups
		g.note(slog.LevelWarn, map[bool]string{true: "no backend is fit: the backups take over", false: "the backups are relieved"}[backups])
	}
	for _, b := range g.backends {
		switch {
		case !g.cfg.judges():
			b.takes = true
		case b.backup:
			b.takes = backups && b.cond != health.Failing
		default:
			b.takes = all || b.cond == health.Fit
		}
	}
}

// weigh notes a backend's condition, and which share of the traffic it takes: slow start and the score make it less. g.mu is held.
func (g *Group) weigh(b *backend, now time.Time) health.State {
	b.cond = g.condition(b, now)
	switch {
	case b.cond == health.Failing:
		b.out = true
	case b.out && b.cond == health.Fit:
		b.out, b.back = false, now
	}
	b.stand.share = b.weight * health.RampSteps
	if g.cfg.SlowStart > 0 && !b.back.IsZero() {
		b.stand.share = b.weight * health.Ramp(b.back, now, g.cfg.SlowStart)
	}
	if g.cfg.Policy == Health {
		b.stand.share = max(1, int(float64(b.stand.share)*b.report.Score/100))
	}
	return b.cond
}

// failed notes a failure of the backend's own, for all that judges it but the breaker. g.mu is held.
func (g *Group) failed(b *backend, now time.Time) {
	b.record.Failed(now)
	b.check.Note(false)
	if o := g.cfg.Outlier; o != nil && !b.ejection.Out(now) && g.mayEject(now) {
		if row := b.record.Report(now).InARow; row >= o.Failures {
			until := b.ejection.Eject(now)
			g.note(slog.LevelWarn, "backend put aside", slog.String("backend", b.name), slog.Int("failures", row),
				slog.Int("times", b.ejection.Times()), slog.Duration("for", until.Sub(now)))
		}
	}
	g.judge(now)
}

// mayEject says whether one more backend may be put aside. g.mu is held.
func (g *Group) mayEject(now time.Time) bool {
	aside := 1
	for _, b := range g.backends {
		if b.ejection.Out(now) {
			aside++
		}
	}
	return float64(aside) <= g.cfg.Outlier.Share*float64(len(g.backends))
}

// worked notes a sign of life. g.mu is held.
func (g *Group) worked(b *backend, now time.Time) {
	b.record.Up(now)
	if b.check.Note(true) {
		g.note(slog.LevelInfo, "backend answers its probes again", slog.String("backend", b.name))
		b.forgive()
	}
}

// accuse notes that clients lost a link, or an answer, while the backend served them. One client alone may be the cause: its frames may be such that a backend hangs up on them, and it
// may come back with them as often as it likes. So it counts as a failure only when another client, of another address or certificate, had the same within the time in which a failure
// loses half of its weight. What fails together is one failure: a link that was up when the last one was counted tells nothing new. g.mu is held.
func (g *Group) accuse(b *backend, up, now time.Time, by ...Client) {
	for _, c := range by {
		key := c.key(ClientHash)
		second := !b.accused.IsZero() && key != b.accuser && now.Sub(b.accused) < g.memory()
		b.accuser, b.accused = key, now
		if second && up.After(b.convicted) {
			b.convicted = now
			g.failed(b, now)
		}
	}
}

// memory is how long an accusation waits for a second one.
func (g *Group) memory() time.Duration {
	if g.cfg.Health != nil {
		return g.cfg.Health.Decay
	}
	return health.Settings{}.WithDefaults().Decay
}

// pulse is what is done every Sample while backends are judged: they are judged anew, measured, and probed.
func (g *Group) pulse() {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return
	}
	g.wg.Add(1)
	defer g.wg.Done()
	now := time.Now()
	g.judge(now)
	pings := g.measure(now)
	g.probeIdle(now)
	g.beat.Reset(g.pulseEvery())
	g.unlock(g.pump(now))
	for _, c := range pings {
		c.Ping()
	}
	g.serveWaiting()
}

// defaultPulse is how often backends are judged where nothing says how often they are measured.
const defaultPulse = 500 * time.Millisecond

func (g *Group) pulseEvery() time.Duration {
	every := defaultPulse
	if g.cfg.Health != nil {
		every = g.cfg.Health.Sample
	}
	return keepalive.Jitter(every, pulseJitter)
}

// pulseJitter keeps groups, and gateways, from pinging in step.
const pulseJitter = 0.1

// measure returns a connection to each backend to be pinged: a spare one, which no client slows down, where there is one. g.mu is held.
func (g *Group) measure(now time.Time) (pings []*client.Conn) {
	if g.cfg.Health == nil || g.conn.Heartbeat == nil || !g.cfg.Format.HasHeartbeat() {
		return nil
	}
	for _, b := range g.backends {
		l := b.anyLink()
		if l == nil {
			b.record.Unasked()
			continue
		}
		b.record.Asked(now)
		pings = append(pings, l.conn)
	}
	return pings
}

// anyLink returns a link to measure; nil: there is none. Not always the same: one may be stuck for a reason of its own.
func (b *backend) anyLink() *link {
	if len(b.spare) > 0 {
		return b.spare[len(b.spare)-1]
	}
	for l := range b.links {
		return l
	}
	return nil
}
