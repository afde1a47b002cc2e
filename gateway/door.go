package gateway

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// Rules are what it takes to be let in at a handler's door. 0 is no limit.
type Rules struct {
	Connections int // of all clients at a time
	PerAddress  int // of one address at a time
	Flapping    Flapping
	FailedHello Flapping      // how often clients of one address may not be authorized
	Handshake   time.Duration // how long it may take from a gopr_guard to the handler
}

// Why a client was not let in: reasons beside those of the handler.
const (
	RefusedConnections = "connections" // limits connections
	RefusedPerIP       = "per_ip"      // limits per_ip
	RefusedBanned      = "banned"      // limits flapping
	RefusedMemory      = "memory"      // the ceiling of the process; idle ones are closed for it, too
)

// door counts who has been let in by address, and who knocks too often.
type door struct {
	mu       sync.Mutex // guards all below
	inside   map[netip.Addr]int
	knocking flappers
	failing  flappers // those who said HELLO, and were not authorized
}

// Pass is one client that was let in. It is given back with Dismiss.
type Pass struct {
	Live *Live
	addr *netip.Addr // where it is counted; nil: nowhere
	cost int64       // what it is counted for in the memory
}

// Enter lets a client in, or says why not, and counts that. The cheapest refusal comes first. The caller holds the Live; so does the pass, as AcquireLive does.
func (l *Live) Enter(rules *Rules, remote net.Addr, now time.Time) (p *Pass, refused string) {
	addr, known := netip.Addr{}, false
	if rules.PerAddress > 0 || rules.Flapping.Connects > 0 {
		addr, known = who(remote)
	}
	counted := known && rules.PerAddress > 0
	switch {
	case l.Draining():
		refused = ReasonDraining
	case known:
		refused = l.door.enter(rules, addr, now)
	}
	if refused == "" && memory.short() {
		refused = RefusedMemory
		l.door.leave(addr, counted)
	}
	if refused == "" && !l.Admit(rules.Connections) {
		refused = RefusedConnections
		l.door.leave(addr, counted)
	}
	if refused != "" {
		l.CountClosed(refused)
		return nil, refused
	}
	p = &Pass{Live: AcquireLive(l.Name)}
	if counted {
		at := addr
		p.addr = &at
	}
	p.weigh(plainCost)
	return p, ""
}

// Encrypted counts what TLS takes.
func (p *Pass) Encrypted() { p.weigh(tlsCost) }

func (p *Pass) weigh(cost int64) {
	memory.fixed.Add(cost - p.cost)
	p.cost = cost
}

// leave counts the client's address out.
func (p *Pass) leave() {
	if p.addr != nil {
		p.Live.door.leave(*p.addr, true)
	}
}

// Cancel is Dismiss of a client that is let in elsewhere: it has not ended.
func (p *Pass) Cancel() {
	p.weigh(0)
	p.leave()
	p.Live.open.Add(-1)
	p.Live.connections.Dec()
	ReleaseLive(p.Live)
}

// Dismiss counts the client out, with the reason for its end.
func (p *Pass) Dismiss(reason string) {
	p.weigh(0)
	p.leave()
	p.Live.Dismiss(reason)
	ReleaseLive(p.Live)
}

func (d *door) enter(rules *Rules, addr netip.Addr, now time.Time) (refused string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if rules.Flapping.Connects > 0 && d.knocking.connect(addr, &rules.Flapping, now) {
		return RefusedBanned
	}
	if rules.PerAddress > 0 {
		if d.inside[addr] >= rules.PerAddress {
			return RefusedPerIP
		}
		if d.inside == nil {
			d.inside = make(map[netip.Addr]int)
		}
		d.inside[addr]++
	}
	return ""
}

// leave counts an address out that was counted.
func (d *door) leave(addr netip.Addr, counted bool) {
	if !counted {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inside[addr]--; d.inside[addr] <= 0 {
		delete(d.inside, addr)
	}
}
