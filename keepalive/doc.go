// Package keepalive decides when a connection is to be tended and when it is
// to be given up: a ping is due, a peer is late, a peer is dead.
//
// It decides, it never sends: it starts no goroutine and no timer, reads no
// clock and touches no socket (but for [TCP.Apply]). Its owner tells it the
// time and does what it says, so the same code runs under a goroutine per
// connection, under an event loop, and under a test's clock.
//
// The map of the package:
//
//   - [Pinger], under the settings of a [Heartbeat]: when to ping, which pong
//     answers, when silence is death. It finds a dead program.
//   - [Watch], under [Limits]: the idle timeout and the frame timeout, moved by
//     storing a time instead of touching a timer.
//   - [RTT]: the round-trip estimate and the retransmission timeout of RFC 6298.
//   - [TCP]: the kernel's keepalive and TCP_USER_TIMEOUT, the second line of
//     defence. It finds a dead host.
//   - [Jitter]: no two connections do the same thing at the same moment.
//   - [Earliest]: one timer for a connection that waits for several things.
//
// # Concurrency
//
// A Pinger, a Watch and an RTT belong to the one owner of their connection and
// are not safe for concurrent use. Settings (Heartbeat, Limits) are read
// through a pointer that many connections share and must not be changed after
// they were handed over; a reload hands over a new value with Set. Jitter,
// Earliest and the methods of TCP are safe for concurrent use.
//
// # Clocks
//
// Every time that is passed in should come from [time.Now], whose monotonic
// reading keeps all intervals right when the wall clock is set. Moments are
// kept as eight bytes each, because there are tens of thousands of connections.
package keepalive
