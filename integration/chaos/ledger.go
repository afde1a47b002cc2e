package main

import (
	"sync"
	"time"
)

// A ledger is a device's own account of what it has published, what of this was acknowledged to it, and what it has received. Times are nanoseconds since 1970.
type ledger struct {
	device uint32
	// answers says that its backend sends a message for each of the device's own; acked, that this backend is told when the gateway has it.
	answers, answersAcked bool

	mu       sync.Mutex
	sent     []sending // the i-th has the number i+1
	acked    int
	received []arrival // in their order
	refused  int       // messages that the gateway refused, and that were sent again
	renewed  []int64   // when it was given a new session, though it had come back with the token of another
}

// A sending is one message published.
type sending struct {
	qos   uint8
	at    int64 // when it was given to the client
	acked int64 // when the promise held for all that the device knows: PUBACK, PUBREC; 0: it does not yet
}

// An arrival is one message as it was delivered to the application.
type arrival struct {
	number uint32
	qos    uint8
}

// publish notes a message, and returns its number.
func (l *ledger) publish(qos uint8, at time.Time) message {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = append(l.sent, sending{qos: qos, at: at.UnixNano()})
	return message{device: l.device, qos: qos, number: uint32(len(l.sent))}
}

// ack notes that a message was acknowledged. A second time is the same.
func (l *ledger) ack(number uint32, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := &l.sent[number-1]; s.acked == 0 {
		s.acked = at.UnixNano()
		l.acked++
	}
}

// receive notes what was delivered.
func (l *ledger) receive(m message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.received = append(l.received, arrival{number: m.number, qos: m.qos})
}

func (l *ledger) refuse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused++
}

// renew notes that the device's session was lost.
func (l *ledger) renew(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.renewed = append(l.renewed, at.UnixNano())
}

// unacked is the number of messages without an acknowledgement.
func (l *ledger) unacked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sent) - l.acked
}

// counts returns how many were published, acknowledged and received.
func (l *ledger) counts() (sent, acked, received int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sent), l.acked, len(l.received)
}
