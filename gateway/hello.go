package gateway

import (
	"net"
	"time"
)

// MayHello says whether a client of that address may say HELLO now: too many of them were not authorized.
func (l *Live) MayHello(rules *Rules, remote net.Addr, now time.Time) bool {
	addr, known := who(remote)
	if rules.FailedHello.Connects == 0 || !known {
		return true
	}
	l.door.mu.Lock()
	defer l.door.mu.Unlock()
	return !l.door.failing.banned(addr, now)
}

// HelloFailed notes that a client of that address was not authorized.
func (l *Live) HelloFailed(rules *Rules, remote net.Addr, now time.Time) {
	addr, known := who(remote)
	if rules.FailedHello.Connects == 0 || !known {
		return
	}
	l.door.mu.Lock()
	defer l.door.mu.Unlock()
	l.door.failing.connect(addr, &rules.FailedHello, now)
}
