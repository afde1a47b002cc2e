package upstream

import (
	"fmt"
	"slices"
	"time"

	"github.com/caddy-gopr/caddy-gopr/upstream/health"
)

// Outlier says when a backend that fails where others do not is put aside, whatever its score.
type Outlier struct {
	// Failures is how many in a row put it aside. 0: 3.
	Failures int
	// Base is how long the first time; the second time in a row it is twice as long, and so on. 0: 30 s.
	Base time.Duration
	// Max is the longest. 0: 5 min.
	Max time.Duration
	// Share is the part of the backends that may be aside at once, rounded down: so a single one never is. 0: 0.5.
	Share float64
}

// WithDefaults returns the settings with zero fields replaced by the defaults.
func (o Outlier) WithDefaults() Outlier {
	if o.Failures == 0 {
		o.Failures = 3
	}
	if o.Base == 0 {
		o.Base = 30 * time.Second
	}
	if o.Max == 0 {
		o.Max = max(o.Base, 5*time.Minute)
	}
	if o.Share == 0 {
		o.Share = 0.5
	}
	return o
}

// Probe says how backends without a link are looked at: each is dialled, and, where the format has a heartbeat, asked for a sign of life.
type Probe struct {
	// Interval is the time between probes of a backend, give or take a tenth. 0: 10 s.
	Interval time.Duration
	// Fall is how many failures in a row, of probes and other dials, take a backend out. 0: 3.
	Fall int
	// Rise is how many good ones bring it back. 0: 2.
	Rise int
}

// WithDefaults returns the settings with zero fields replaced by the defaults.
func (p Probe) WithDefaults() Probe {
	if p.Interval == 0 {
		p.Interval = 10 * time.Second
	}
	if p.Fall == 0 {
		p.Fall = 3
	}
	if p.Rise == 0 {
		p.Rise = 2
	}
	return p
}

const defaultPanic = 0.5

// withHealthDefaults fills in what backends are judged by.
func (c Config) withHealthDefaults() Config {
	if c.Health == nil && (c.Policy == Health || len(c.Backups) > 0) {
		c.Health = new(health.Settings)
	}
	if c.Health != nil {
		s := *c.Health
		if s.Stable == 0 {
			s.Stable = c.Reconnect.Stable
		}
		s = s.WithDefaults()
		c.Health = &s
	}
	if c.Outlier != nil {
		o := c.Outlier.WithDefaults()
		c.Outlier = &o
	}
	if c.Probe != nil {
		p := c.Probe.WithDefaults()
		c.Probe = &p
	}
	if c.Panic == 0 {
		c.Panic = defaultPanic
	}
	return c
}

// validateHealth checks what backends are judged by.
func (c Config) validateHealth() error {
	for i, b := range c.Backups {
		if _, _, err := splitBackend(b); err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		if slices.Contains(c.Backends, b) {
			return fmt.Errorf("backup %s is a backend, too: name it in one place", b)
		}
		if slices.Contains(c.Backups[:i], b) {
			return fmt.Errorf("backup %s is named twice: name it once", b)
		}
	}
	if h := c.Health; h != nil {
		if err := h.Validate(); err != nil {
			return err
		}
	}
	if o := c.Outlier; o != nil {
		switch {
		case o.Failures < 0:
			return fmt.Errorf("outlier failures %d is negative: give how many in a row put a backend aside, such as 3", o.Failures)
		case o.Base < 0:
			return fmt.Errorf("outlier base %v is negative: give a time such as 30s", o.Base)
		case o.Max < o.Base:
			return fmt.Errorf("outlier max %v is shorter than base %v: give %v or more", o.Max, o.Base, o.Base)
		case !(o.Share > 0 && o.Share <= 1):
			return fmt.Errorf("outlier share %v is not a part of the backends: give one such as 50%%, above 0 and up to 100%%", o.Share)
		}
	}
	if p := c.Probe; p != nil {
		switch {
		case p.Interval < minProbe:
			return fmt.Errorf("probe %v is too often: give %v or more, such as 10s", p.Interval, minProbe)
		case p.Fall < 0:
			return fmt.Errorf("probe fall %d is negative: give how many failed probes take a backend out, such as 3", p.Fall)
		case p.Rise < 0:
			return fmt.Errorf("probe rise %d is negative: give how many good probes bring a backend back, such as 2", p.Rise)
		}
	}
	switch {
	case !(c.BackupRate >= 0):
		return fmt.Errorf("backup_rate %v is negative: give how many a second, such as 100/s", c.BackupRate)
	case c.BackupBurst < 0:
		return fmt.Errorf("backup_rate burst %d is negative: give how many may go at once, such as 100", c.BackupBurst)
	case c.BackupRate > 0 && len(c.Backups) == 0:
		return fmt.Errorf("backup_rate %v/s has no meaning without a backup: name one, such as `backup 10.0.9.1:9000`", c.BackupRate)
	case c.Panic > 1 || c.Panic != c.Panic:
		return fmt.Errorf("panic %v is not a part of the backends: give one such as 50%%, up to 100%%, or off", c.Panic)
	case c.SlowStart < 0:
		return fmt.Errorf("slow_start %v is negative: give a time such as 30s", c.SlowStart)
	}
	return nil
}

// minProbe keeps probes from being a load of their own.
const minProbe = 100 * time.Millisecond
