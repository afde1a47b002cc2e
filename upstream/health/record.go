package health

import (
	"sync"
	"time"
)

// State is what follows from a backend's score.
type State string

// The states.
const (
	Fit     State = "fit"     // it takes traffic
	Warming State = "warming" // its score is too low: its links are kept warm and measured, but it takes nothing new before the score is high enough
	Failing State = "failing" // the same, after two failures in a row or more: backups may take its place
)

// failingFrom is how many failures in a row make an unfit backend a failing one.
const failingFrom = 2

// Report is a judgement with its reasons.
type Report struct {
	State   State   `json:"state"`
	Score   float64 `json:"score"`             // 0 to 100, the sum of the parts
	Parts   Parts   `json:"parts"`             // in points
	P95     float64 `json:"rtt_p95_seconds"`   // the round trip that 95 % of the samples did not exceed; 0: there are none
	Samples int     `json:"rtt_samples"`       // round trips measured within the window, and kept
	InARow  int     `json:"failures_in_a_row"` // since it was last up for long
}

// Parts are the points that make up a score.
type Parts struct {
	RTT      float64 `json:"rtt"`
	Failures float64 `json:"failures"`
	TLS      float64 `json:"tls"`
}

// Record is what is known of one backend. Its methods may be called by any goroutine.
type Record struct {
	set Settings // with defaults

	mu       sync.Mutex
	rtts     window
	asked    time.Time // since when an answer to a ping is awaited; zero: none is
	failures fading    // weigh in the score
	row      int       // failures since it was last up for long
	upAt     time.Time // since when it is up without a failure; zero: it failed last
	ok, bad  fading    // TLS handshakes
	state    State
}

// NewRecord begins one, of a backend of which nothing is known: it is fit. The settings must be valid.
func NewRecord(s Settings) *Record { return &Record{set: s.WithDefaults(), state: Fit} }

// Asked notes that a ping goes out.
func (r *Record) Asked(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked.IsZero() {
		r.asked = now
	}
}

// Answered notes that a ping was answered: the backend lives. rtt is the round trip; 0: it was not measured.
func (r *Record) Answered(now time.Time, rtt time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = time.Time{}
	if rtt > 0 {
		r.rtts.add(now, r.set.Window, rtt)
	}
	r.up(now)
}

// Unasked notes that there is no link any more that a ping could be answered on.
func (r *Record) Unasked() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = time.Time{}
}

// Failed notes a failure.
func (r *Record) Failed(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.row = r.inARow(now) + 1
	r.upAt = time.Time{}
	r.failures.add(now, r.set.Decay, float64(r.set.Failures))
}

// Forgive ends a row of failures, and has them weigh nothing.
func (r *Record) Forgive() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.row, r.failures = 0, fading{}
}

// Up notes that something worked. It ends no row of failures: only Stable without another does.
func (r *Record) Up(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.up(now)
}

func (r *Record) up(now time.Time) {
	if r.upAt.IsZero() {
		r.upAt = now
	}
}

// Handshake notes the outcome of a TLS handshake. (That it failed is a failure, too, and whoever dialled says so.)
func (r *Record) Handshake(now time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	outcome := &r.bad
	if ok {
		outcome = &r.ok
	}
	outcome.add(now, r.set.Decay, maxHandshakes)
}

const (
	// maxHandshakes bounds what one side of the handshakes weighs, so that a long good time does not hide a bad one.
	maxHandshakes = 5
	// benefit is what is added to the handshakes that worked: half a handshake, so that without any all is well, and what went wrong is forgotten in time.
	benefit = 0.5
)

// Judge brings the state up to date, and returns the judgement and whether the state is another than before.
func (r *Record) Judge(now time.Time) (rep Report, changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rep = r.report(now)
	need := r.set.Threshold
	if r.state != Fit {
		need = r.set.enough()
	}
	before := r.state
	switch {
	case rep.Score >= need && rep.InARow < r.set.Failures:
		r.state = Fit
	case rep.InARow >= failingFrom || rep.InARow >= r.set.Failures:
		r.state = Failing
	default:
		r.state = Warming
	}
	rep.State = r.state
	return rep, r.state != before
}

// Report returns the last judgement's state, and the score as it is now.
func (r *Record) Report(now time.Time) Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.report(now)
}

func (r *Record) report(now time.Time) Report {
	s := &r.set
	var awaited time.Duration
	if !r.asked.IsZero() {
		awaited = now.Sub(r.asked)
	}
	rep := Report{State: r.state, InARow: r.inARow(now)}
	p95, samples := r.rtts.p95(now, s.Window, awaited)
	rep.P95, rep.Samples = p95.Seconds(), samples

	slow := float64(p95)/float64(s.RTTThreshold) - 1
	failed := r.failures.now(now, s.Decay) / float64(s.Failures)
	good, bad := r.ok.now(now, s.Decay)+benefit, r.bad.now(now, s.Decay)

	points := 100 / (s.Weights.RTT + s.Weights.Failures + s.Weights.TLS)
	rep.Parts = Parts{
		RTT:      points * s.Weights.RTT * clamp(1-slow),
		Failures: points * s.Weights.Failures * clamp(1-failed),
		TLS:      points * s.Weights.TLS * good / (good + bad),
	}
	rep.Score = min(100, rep.Parts.RTT+rep.Parts.Failures+rep.Parts.TLS)
	return rep
}

func (r *Record) inARow(now time.Time) int {
	if !r.upAt.IsZero() && now.Sub(r.upAt) >= r.set.Stable {
		return 0
	}
	return r.row
}

func clamp(v float64) float64 { return max(0, min(1, v)) }
