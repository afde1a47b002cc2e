package delivery

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-gopr/caddy-gopr/qos"
	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/session"
)

// Service has the sessions of one handler. Its methods may be called from any goroutine.
type Service struct {
	cfg      Config
	owner    string // as the stores of sessions know it: the handler's name, a slash, Config.Owner
	settings atomic.Pointer[Settings]
	began    time.Time
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	alarms   alarms
	crew     crew // asks the stores
	leases   crew // takes leases and gives them back, which may take a while, but waits for no store
	teller   crew // calls Config.Notify
	sweeper  *time.Timer
	reviewed moment   // when the queue was last asked what it knows; the sweeper's own
	untaken  []func() // end what Taken of the stores began
	health   [stores]health
	count    counts
	warned   atomic.Int64 // when warn last did, a moment

	mu     sync.Mutex // guards all below. It is taken with no session's lock held, nor is one taken under it
	closed bool
	byID   map[session.ID]*Session
	turns  map[string]*turn // by client: HELLOs and adoptions, one after the other
}

const (
	storeWait  = 10 * time.Second // for a store to answer
	closeWait  = 5 * time.Second  // for the stores to take what is to be noted at the end
	askers     = 64               // goroutines that ask the stores at the same time, besides HELLOs
	leaseTaker = 4
)

// NewService starts a service, which takes up what an earlier process has left undelivered.
func NewService(c Config, s Settings) (*Service, error) {
	switch {
	case c.Sessions == nil || c.Queue == nil || c.Lease == nil:
		return nil, errors.New("delivery: Config.Sessions, Queue and Lease are needed")
	case c.Owner == "" || strings.Contains(c.Owner, "/"):
		return nil, errors.New("delivery: Config.Owner must name this service of this process, and no other, without a slash")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	v := &Service{
		cfg: c, owner: c.Name + "/" + c.Owner, began: time.Now(),
		byID: make(map[session.ID]*Session), turns: make(map[string]*turn),
	}
	v.ctx, v.cancel = context.WithCancel(context.Background())
	v.crew.most, v.leases.most, v.teller.most = askers, leaseTaker, 1
	v.alarms.ring, v.alarms.now = (*Session).wake, v.now
	v.Set(s)
	v.untaken = append(v.untaken, c.Sessions.Taken(v.owner, v.taken))
	if c.Local != nil {
		v.untaken = append(v.untaken, c.Local.Taken(v.owner, v.taken))
	}
	v.mu.Lock()
	v.sweeper = time.AfterFunc(0, v.sweep)
	v.mu.Unlock()
	return v, nil
}

// Set changes the settings, also of sessions that live.
func (v *Service) Set(s Settings) {
	s = s.withDefaults()
	v.settings.Store(&s)
}

func (s Settings) withDefaults() Settings {
	def := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	def(&s.Expiry, 24*time.Hour)
	def(&s.TTL, 24*time.Hour)
	def(&s.AckTimeout, 3*time.Second)
	if s.Inflight <= 0 {
		s.Inflight = 64
	}
	s.Bounds = s.Bounds.WithDefaults()
	return s
}

func (v *Service) set() *Settings { return v.settings.Load() }

// limits are what a sender keeps to, given the window that its peer grants.
func (s *Settings) limits(window uint16) qos.Limits {
	return qos.Limits{Window: min(int(window), s.Inflight), AckTimeout: s.AckTimeout, MaxRetries: uint8(min(max(s.MaxRetries, 0), 255))}
}

// message is a message that begins now.
func (v *Service) message(id uint64, cmd, flag, qos uint8, payload []byte) *queue.Message {
	now := time.Now()
	return &queue.Message{ID: id, Cmd: cmd, Flag: flag, QoS: qos, Created: now, Expires: now.Add(v.set().TTL), Payload: payload}
}

func (v *Service) now() moment { return moment(time.Since(v.began)) + 1 }

func (v *Service) moment(t time.Time) moment {
	if t.IsZero() {
		return 0
	}
	return max(moment(t.Sub(v.began)), 0) + 1
}

func (v *Service) storeContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(v.ctx, storeWait)
}

// Renew has all sessions take a lease anew: the group of backends has changed. What has not been proved is sent again.
func (v *Service) Renew() {
	for _, s := range v.all() {
		s.mu.Lock()
		s.giveLease()
		if r := s.rare; r != nil {
			r.leaseAt = 0
		}
		s.unlock()
	}
}

func (v *Service) all() []*Session {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := make([]*Session, 0, len(v.byID))
	for _, s := range v.byID {
		all = append(all, s)
	}
	return all
}

// find returns a session that the service has; nil: it has not.
func (v *Service) find(id session.ID) *Session {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.byID[id]
}

// add has a session be the service's, unless that has ended.
func (v *Service) add(s *Session) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return false
	}
	v.byID[s.id] = s
	return true
}

func (v *Service) remove(s *Session) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.byID[s.id] == s {
		delete(v.byID, s.id)
	}
}

// warnEvery is how often the log says that something is wrong with a link or a lease: as many sessions as there are may say it at the same time.
const warnEvery = time.Second

// warn logs what is wrong for a session, unless it has just been said of another.
func (v *Service) warn(msg string, args ...any) {
	now, last := v.now(), moment(v.warned.Load())
	if last != 0 && now-last < moment(warnEvery) || !v.warned.CompareAndSwap(int64(last), int64(now)) {
		return
	}
	v.cfg.Logger.Warn(msg, args...)
}

// taken is told by a store of sessions that another gateway has one of ours.
func (v *Service) taken(_ string, id session.ID, fence uint64) {
	s := v.find(id)
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.unlock()
	if s.fence < fence && !s.frozen {
		s.lose(ErrTaken)
	}
}

// turn is who does something about a client, and who waits to do so.
type turn struct {
	busy    chan struct{} // holds one
	waiting int
}

// wait returns when nobody else does anything about a client, until done.
func (v *Service) turn(ctx context.Context, client string) (done func(), err error) {
	v.mu.Lock()
	if v.closed {
		v.mu.Unlock()
		return nil, ErrClosed
	}
	t := v.turns[client]
	if t == nil {
		t = &turn{busy: make(chan struct{}, 1)}
		v.turns[client] = t
	}
	t.waiting++
	v.mu.Unlock()
	left := func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		if t.waiting--; t.waiting == 0 {
			delete(v.turns, client)
		}
	}
	select {
	case t.busy <- struct{}{}:
		return func() { <-t.busy; left() }, nil
	case <-ctx.Done():
		left()
		return nil, ctx.Err()
	case <-v.ctx.Done():
		left()
		return nil, ErrClosed
	}
}

// Close ends the service: sessions' clients are ended with ErrClosed, leases closed; what is undelivered stays in the stores. It waits for every goroutine of the service.
func (v *Service) Close() error {
	v.mu.Lock()
	if v.closed {
		v.mu.Unlock()
		return nil
	}
	v.closed = true
	v.sweeper.Stop()
	v.mu.Unlock()
	for _, stop := range v.untaken {
		stop()
	}
	v.alarms.close()
	all := v.all()
	quiet := make([]<-chan struct{}, 0, len(all))
	for _, s := range all {
		quiet = append(quiet, s.shut())
	}
	limit := time.NewTimer(closeWait)
	defer limit.Stop()
	for _, q := range quiet {
		select {
		case <-q:
		case <-limit.C:
			v.cfg.Logger.Warn("the stores did not take in time what has been delivered last; it may be delivered once more")
			limit.Reset(0)
		}
	}
	for _, s := range all {
		s.mu.Lock()
		if !s.gone {
			s.ending = false
			s.leave()
		}
		s.unlock()
	}
	v.cancel()
	v.crew.close()
	v.leases.close()
	v.teller.close()
	return nil
}

// shut ends the client, gives the lease back, and returns what is closed when the stores know all that is to be known.
func (s *Session) shut() <-chan struct{} {
	s.mu.Lock()
	defer s.unlock()
	if s.gone {
		quiet := make(chan struct{})
		close(quiet)
		return quiet
	}
	s.closing = true
	s.endClient(ErrClosed)
	s.giveLease()
	return awaited(&s.needRare().quiet)
}

// sweepEvery is how often what other gateways have left behind is looked for.
const sweepEvery = 30 * time.Second

// sweep looks for messages that nobody delivers.
func (v *Service) sweep() {
	v.crew.do(v.adoptAll)
	if now := v.now(); now-v.reviewed >= moment(reviewEvery) {
		v.reviewed = now
		v.crew.do(v.review)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.closed {
		v.sweeper.Reset(sweepEvery*3/4 + rand.N(sweepEvery/2))
	}
}
