package client

import (
	"context"
	"sync"
)

// Ticket is what a Client must remember to take its session up again. The zero Ticket stands for none: the next connection begins a session.
type Ticket struct {
	// Token is what the gateway wants to see. It is another with each connection.
	Token []byte `json:"token"`
	// Up and Down are the ids, of [SessionOptions.Queue], that stand for the wire's 0. The queue's ids always grow; the wire's begin with each session.
	Up   uint64 `json:"up"`
	Down uint64 `json:"down"`
}

// TicketStore keeps a Ticket for the next run of the program. A Client calls it from one goroutine at a time.
type TicketStore interface {
	// Load returns what was saved last; the zero Ticket where nothing was.
	Load(ctx context.Context) (Ticket, error)
	// Save replaces the ticket, wholly or not at all, and returns when that is safe. It is called with each connection, before anything else is sent on it; and by
	// [Client.Bye], with the zero Ticket.
	Save(ctx context.Context, t Ticket) error
}

// ticketMemory is the TicketStore of those who give none. It ends with its Client.
type ticketMemory struct {
	mu sync.Mutex
	t  Ticket
}

func (m *ticketMemory) Load(context.Context) (Ticket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.t, nil
}

func (m *ticketMemory) Save(_ context.Context, t Ticket) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.t = t
	return nil
}
