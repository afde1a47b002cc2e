package upstream

import (
	"time"

	"github.com/caddy-gopr/caddy-gopr/upstream/health"
)

// fitness is what a backend is judged by. The group's lock guards it, but for the record, which has one of its own: links write to it.
type fitness struct {
	backup   bool // it takes traffic when none of the others can
	weight   int
	record   *health.Record
	report   health.Report // what the record said when it was last judged
	check    health.Check
	ejection health.Ejection

	cond  health.State // its condition, when it was last judged
	takes bool         // it is one of those that new work goes to
	out   bool         // it was not fit to
	back  time.Time    // when that was over; zero: it never was

	probing bool
	probeAt time.Time // the next probe, if it has no link then

	accuser   uint64    // the client whose link died last while it asked
	accused   time.Time // when that was
	convicted time.Time // when that was last counted as a failure
}

func newFitness(c *Config, name string, backup bool) fitness {
	settings := health.Settings{Stable: c.Reconnect.Stable, Window: max(10*time.Second, 2*c.Heartbeat.Interval)} // shown only: there are no pings but the heartbeat's
	if c.Health != nil {
		settings = *c.Health
	}
	f := fitness{
		report: health.Report{State: health.Fit, Score: 100},
		backup: backup, weight: max(1, c.Weights[name]), record: health.NewRecord(settings), cond: health.Fit, takes: !backup,
	}
	if c.Probe != nil {
		f.check = health.Check{Fall: c.Probe.Fall, Rise: c.Probe.Rise}
	}
	if c.Outlier != nil {
		f.ejection = health.Ejection{Base: c.Outlier.Base, Max: c.Outlier.Max}
	}
	return f
}

// condition says what is to be expected of a backend now. g.mu is held.
func (g *Group) condition(b *backend, now time.Time) health.State {
	switch {
	case b.ejection.Out(now), b.check.Down(), b.failing() && len(b.links) == 0:
		return health.Failing
	case g.cfg.Health != nil:
		return b.report.State
	default:
		return health.Fit
	}
}

// acquit ends what keeps it from work beside its score.
func (f *fitness) acquit() {
	f.record.Forgive()
	f.check.Clear()
	f.ejection.End()
}

// judges says whether anything is to follow from how backends fare, beyond that they are dialled again later.
func (c *Config) judges() bool { return c.Health != nil || c.Outlier != nil || c.Probe != nil }

// beats says whether the time alone may change what a backend takes.
func (c *Config) beats() bool { return c.judges() || c.SlowStart > 0 }

// describe adds what a backend is judged by to its snapshot. Where nothing follows from it, it is judged for that alone. g.mu is held.
func (g *Group) describe(f *fitness, s *BackendStat, now time.Time) {
	s.Backup, s.Weight, s.Takes = f.backup, f.weight, f.takes
	if s.Health = f.record.Report(now); !g.cfg.beats() {
		s.Health, _ = f.record.Judge(now)
	}
	s.Ejections, s.ProbesFailed = f.ejection.Times(), f.check.Down()
	if f.ejection.Out(now) {
		s.EjectedUntil = f.ejection.Until()
	}
}
