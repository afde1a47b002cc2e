package qos

// Receiver knows what has been received in a session, in one direction. As ids ascend and a sender repeats in their order, its whole memory is a number. The zero value
// has received nothing.
//
// What it calls [New] is in the owner's hands, to be stored or delivered. When that is done and safe the owner says [Receiver.Safe], and acknowledges: not before, nor
// may the second copy of a message be acknowledged while the first is not safe.
//
// A message that is New must not be passed over: were a later one stored, its sender would on resume be told that it had arrived, and it is lost. So an owner who can't
// store one (its bounds refuse it, the store is away) says [Receiver.Refuse], stores none after it, and ends the connection: whatever its sender does not know as
// acknowledged it sends again on the next, from the first on. For that, an owner gives its store no batch of messages while another is on its way.
type Receiver struct {
	taken   uint64 // the highest id that is New no more
	safe    uint64 // the highest that may be acknowledged
	refused bool
}

// Verdict is what a receiver makes of a message.
type Verdict uint8

const (
	New       Verdict = iota + 1 // it came for the first time: store or deliver it
	Duplicate                    // it came before: acknowledge it again (PUBACK, or PUBREC at QoS 2), and that is all
	Pending                      // it came before, and is not safe yet: drop this copy, the first will be acknowledged
	Refused                      // one before it was refused: drop it
	Violation                    // its id is used again, or far from all others: ERROR with ErrorID, and close
)

// NewReceiver returns one that has received what has ids up to last: queue.Info.Last, or Seen.
func NewReceiver(last uint64) Receiver { return Receiver{taken: last, safe: last} }

// Take says what a message is, by its id of the wire and its DUP. full is its id wherever the verdict is not Violation.
func (r *Receiver) Take(id uint32, dup bool) (full uint64, v Verdict) {
	full, above, ok := Expand(r.taken, id)
	switch {
	case !ok, !above && !dup:
		return 0, Violation
	case above && r.refused:
		return full, Refused
	case above:
		r.taken = full
		return full, New
	case full > r.safe:
		return full, Pending
	}
	return full, Duplicate
}

// Safe notes that all messages up to id are stored, or delivered: they may be acknowledged.
func (r *Receiver) Safe(id uint64) { r.safe = max(r.safe, min(id, r.taken)) }

// Refuse has all that is not safe forgotten, and nothing taken any more: until the sender comes back on another connection, for which NewReceiver(r.Last()) is right.
func (r *Receiver) Refuse() { r.taken, r.refused = r.safe, true }

// Release says whether a PUBREL is to be answered with PUBCOMP: of each id that may have had a PUBREC. Otherwise it is a violation, as Take's.
func (r *Receiver) Release(id uint32) bool {
	full, above, ok := Expand(r.taken, id)
	return ok && !above && full <= r.safe
}

// Last is the highest id up to which all is safe: what WELCOME says, its lower 32 bits. 0: there is none.
func (r *Receiver) Last() uint64 { return r.safe }
