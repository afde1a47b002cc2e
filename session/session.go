// Package session remembers clients that come back.
//
// A client that has said HELLO has a session: a [Record] under its client id, which outlives the connection, and in a shared [Store] the gateway. Whoever comes back with
// the session's token owns it from then on: each change of hands gives it a higher fence, and what the owner before still writes is refused.
//
//	session.go   records, tokens, and the contract of a Store
//	owners.go    who lives within this process, and is told of what is taken from it
//	memory/      a store that forgets with its process
//	sqlite/      a file, which outlives the process
//	redis/       a Redis, which several gateways share
//	sessiontest/ what every store must do, as tests
package session

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"time"
)

// ID names a session; its client's next one has another.
type ID [16]byte

// NewID returns a random ID.
func NewID() (id ID) {
	_, _ = rand.Read(id[:])
	return id
}

// Token is what a client shows to get its session back. It is good once: but as a connection may be cut while it brings the next one, it stays good until its client has
// shown that it got that, by coming back with it or by its first frame (Store.Confirm). Until then whoever shows it is given the same next one: so the client has one of the
// two, however many of its HELLOs are answered to nobody, or come late.
type Token [16]byte

// NewToken returns a random token.
func NewToken() (t Token) {
	_, _ = rand.Read(t[:])
	return t
}

// Hash is what a store keeps of a token: who reads the store can resume nothing.
func (t Token) Hash() Hash { return sha256.Sum256(t[:]) }

// Next is the token that follows this one. Who makes it needs both the token and the salt: the store has but the salt, and who has spied the token has not.
func (t Token) Next(s Salt) (next Token) {
	mac := hmac.New(sha256.New, t[:])
	mac.Write(s[:])
	copy(next[:], mac.Sum(nil))
	return next
}

// Salt is what a token is made of, besides the one before it. Each is used once.
type Salt [16]byte

// NewSalt returns a random Salt.
func NewSalt() (s Salt) {
	_, _ = rand.Read(s[:])
	return s
}

// Hash is a SHA-256. The zero value stands for nothing.
type Hash [32]byte

// Equal compares in constant time.
func (h Hash) Equal(other Hash) bool { return subtle.ConstantTimeCompare(h[:], other[:]) == 1 }

// Mark tells the token from others, in a log: who knows it can make none of it.
func (h Hash) Mark() string { return hex.EncodeToString(h[:4]) }

// Before is the token that a client showed last, and the salt that made the next one of it: 48 bytes, or none.
type Before string

const beforeLen = len(Hash{}) + len(Salt{})

// NewBefore is of a token and a salt.
func NewBefore(shown Hash, s Salt) Before { return Before(shown[:]) + Before(s[:]) }

// Salt is the salt; zero, where there is none.
func (b Before) Salt() (s Salt) {
	if len(b) == beforeLen {
		copy(s[:], b[len(Hash{}):])
	}
	return s
}

// is says whether the token is that of a hash.
func (b Before) is(h Hash) bool {
	return len(b) == beforeLen && subtle.ConstantTimeCompare([]byte(b[:len(h)]), h[:]) == 1
}

// Record is what is known of a session.
type Record struct {
	Client      string // its client's id, 1 to 255 bytes of any kind
	ID          ID
	Fence       uint64            // grows with each change of hands, from 1 on: for a client id as for a session. By how much is the store's affair
	Owner       string            // who has it: each service of each gateway's process has a name of its own
	Token       Hash              // of the token that resumes it
	Before      Before            // the token that the client showed last, and of which Token was made: it resumes the session, too, until the client has shown that it has Token. "": it has
	Certificate Hash              // of the certificate that its client must show; zero: none
	Since       time.Time         // when it began; to the millisecond, as all times here
	Seen        time.Time         // when its client was last known to be there
	Expiry      time.Duration     // how long it lasts after Seen
	Attributes  map[string]string // the application's own, few and small
}

// Marks are those of the tokens that resume the session, the newest first.
func (r *Record) Marks() []string {
	marks := []string{r.Token.Mark()}
	if len(r.Before) == beforeLen {
		marks = append(marks, Hash([]byte(r.Before[:len(Hash{})])).Mark())
	}
	return marks
}

// Expired says whether the session is over, its client not having come back.
func (r *Record) Expired(now time.Time) bool { return !now.Before(r.Seen.Add(r.Expiry)) }

// Same says whether two records are of one session, and of one time between two changes of hands.
func (r *Record) Same(as *Record) bool { return r.ID == as.ID && r.Fence == as.Fence }

// Claim is what a client shows to get its session back.
type Claim struct {
	Client      string
	Token       Token
	Certificate Hash   // of the certificate that it shows; zero: none
	Owner       string // the gateway that asks
	Salt        Salt   // a new one: Token.Next of it is good from now on, unless the client has shown this token before
}

// Next is the token that follows the one that is shown, given the record that Resume returned.
func (c *Claim) Next(r *Record) Token { return c.Token.Next(r.Before.Salt()) }

// Check says whether the claim is good for the session that its client may resume, and if so, what Token and Before are from then on; else the error that Resume returns.
// r nil: it has none that lives.
func (c *Claim) Check(r *Record) (token Hash, before Before, err error) {
	if r == nil {
		return token, "", ErrUnknown
	}
	shown := c.Token.Hash()
	isToken, again := r.Token.Equal(shown), r.Before.is(shown)
	switch {
	case !isToken && !again:
		return token, "", ErrToken
	case r.Certificate != Hash{} && !r.Certificate.Equal(c.Certificate):
		return token, "", ErrCertificate
	case isToken: // the client has it
		return c.Token.Next(c.Salt).Hash(), NewBefore(shown, c.Salt), nil
	}
	// Token may have reached the client, or not: the one who shows the one before may be a HELLO that has been under way for long.
	return r.Token, r.Before, nil
}

// Store keeps records. Its methods may be called from any goroutine; each is one step that happens wholly or not at all. Where the store is durable, it is safe when the
// method returns. An error that is none of this package's says that the store can't be reached: nothing is known then.
//
// A session that has expired is no more: no method finds it, and it is forgotten soon.
type Store interface {
	// Begin makes a session that its client may resume, in place of the one that it has, which is over, as Get returned it; the zero Record: none. r.Fence is ignored: the new
	// session's is above all that the client's sessions ever had. It returns the record as stored, and the one that it replaces, which is the same Owner's from now on and has
	// the new fence too, so that its messages can be delivered to their end; nil: there was none that lives. r.ID must be new. ErrFull: the store keeps no more. ErrChanged: the
	// client has another session than over, or that has changed hands since. So a Begin that was stuck on its way replaces none that began or was resumed meanwhile.
	Begin(ctx context.Context, r, over Record) (stored Record, replaced *Record, err error)
	// Resume gives a session to the Owner of the claim, under a higher fence, if the claim is good: its client was Seen now. ErrUnknown: the client has none, or it has
	// expired. ErrToken, ErrCertificate: it has one, which stays as it is. Where the claim shows Token, that becomes the one of Before, and the one that Salt makes of it Token;
	// where it shows the one of Before, both stay. Of many claims at once each that is good is good after the other: the last one's owner has the session.
	Resume(ctx context.Context, c Claim) (Record, error)
	// Confirm notes that the client has its Token: from now on the one of Before is good no more. ErrFenced as with Touch.
	Confirm(ctx context.Context, client string, id ID, fence uint64) error
	// Touch notes that the client is there, at the time of seen, or left then; and keeps the record from expiring until seen + expiry. ErrFenced: the session has gone to
	// another owner, or is no more.
	Touch(ctx context.Context, client string, id ID, fence uint64, seen time.Time, expiry time.Duration) error
	// End forgets a session. ErrFenced as with Touch.
	End(ctx context.Context, client string, id ID, fence uint64) error
	// Get returns the session that a client may resume, or ErrUnknown.
	Get(ctx context.Context, client string) (Record, error)
	// Find returns a session by its id, also one that was replaced and has not ended, or ErrUnknown.
	Find(ctx context.Context, id ID) (Record, error)
	// List calls f for each session, also those that were replaced, until it returns false. What comes and goes meanwhile may be missed. f may use the store.
	List(ctx context.Context, f func(Record) bool) error
	// Adopt gives a session whose owner is no more to another owner, under a higher fence: for its messages' sake. ErrOwned: its owner lives (see Taken), and is not the
	// caller. A shared store says so also while it can't tell, as in the time after it was away itself. ErrUnknown: there is no such session.
	Adopt(ctx context.Context, client string, id ID, owner string) (Record, error)
	// Taken says that an owner lives, until stop: nobody adopts its sessions. It has f told, soon, of each session of the owner that has gone to another: client, session,
	// and the new fence. f is called by one goroutine; stop, which f must not call, waits for it. What is told is a hint that comes early: an owner that misses it is fenced
	// all the same, and finds out when it next writes.
	Taken(owner string, f func(client string, id ID, fence uint64)) (stop func())
	Close() error
}

var (
	// ErrUnknown: there is no such session.
	ErrUnknown = errors.New("no such session")
	// ErrToken: the token is not the session's: made up, stolen and spent, or spent before.
	ErrToken = errors.New("the resume token is not good")
	// ErrCertificate: the client shows another certificate than the one that the session is bound to, or none.
	ErrCertificate = errors.New("the session is bound to another certificate")
	// ErrFenced: the session has another owner, who came later, or has ended.
	ErrFenced = errors.New("the session has another owner")
	// ErrFull: the store keeps no more sessions.
	ErrFull = errors.New("the store has no room for another session")
	// ErrChanged: the client has another session than the one that is to be replaced, or somebody else has that now.
	ErrChanged = errors.New("the client has got another session meanwhile")
	// ErrOwned: the session's owner lives.
	ErrOwned = errors.New("the session's owner is alive")
)
