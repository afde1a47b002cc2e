package keepalive_test

import (
	"fmt"
	"time"

	"github.com/caddy-gopr/caddy-gopr/keepalive"
)

// A connection's loop asks at each wake-up what is to be done, and sleeps until
// the earliest moment at which something could be.
func Example() {
	heartbeat := keepalive.Heartbeat{Interval: 30 * time.Second, Timeout: 15 * time.Second, Jitter: -1}
	limits := keepalive.Limits{Idle: 45 * time.Second, Frame: 10 * time.Second}
	start := time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)

	var pinger keepalive.Pinger
	var watch keepalive.Watch
	pinger.Start(&heartbeat, start)
	watch.Start(&limits, start)

	// The peer answers the first ping after 80 ms, and then no more.
	for {
		now := keepalive.Earliest(pinger.Next(), watch.Deadline()) // sleep until then
		if err := watch.Check(now); err != nil {
			fmt.Println(now.Sub(start), err)
			return
		}
		switch pinger.Tick(now) {
		case keepalive.SendPing:
			seq, unixNano := pinger.Ping(now)
			fmt.Println(now.Sub(start), "ping", seq)
			if seq == 1 {
				now = now.Add(80 * time.Millisecond)
				watch.Note(now, true, false)
				rtt, _ := pinger.Pong(seq, unixNano, now)
				fmt.Println(now.Sub(start), "pong, round trip", rtt)
			}
		case keepalive.Dead:
			fmt.Println(now.Sub(start), "no pong: dead")
			return
		}
	}
	// Output:
	// 30s ping 1
	// 30.08s pong, round trip 80ms
	// 1m0s ping 2
	// 1m15s no pong: dead
}

// However fast frames come, the timer is touched only when Note says so.
func ExampleWatch() {
	limits := keepalive.Limits{Idle: 45 * time.Second, Frame: 10 * time.Second}
	start := time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)
	var watch keepalive.Watch
	watch.Start(&limits, start)
	timer := watch.Deadline()
	fmt.Println("timer at", timer.Sub(start))

	for i := range 3 {
		now := start.Add(time.Duration(i+1) * time.Second)
		if watch.Note(now, true, false) { // complete frames, nothing left over
			timer = watch.Deadline()
		}
	}
	fmt.Println("timer at", timer.Sub(start), "and a deadline of", watch.Deadline().Sub(start))

	if watch.Note(start.Add(4*time.Second), false, true) { // half a frame
		timer = watch.Deadline()
	}
	fmt.Println("timer at", timer.Sub(start))
	fmt.Println(watch.Check(timer))
	// Output:
	// timer at 45s
	// timer at 45s and a deadline of 48s
	// timer at 14s
	// keepalive: frame not complete within the frame timeout
}

func ExampleRTT() {
	var rtt keepalive.RTT
	fmt.Println("before the first sample", rtt.RTO())
	rtt.Sample(100 * time.Millisecond)
	fmt.Println("after it", rtt.SRTT(), rtt.RTTVAR(), rtt.RTO())
	rtt.Backoff()
	fmt.Println("no answer within it", rtt.RTO())
	rtt.Sample(140 * time.Millisecond)
	fmt.Println("after the next", rtt.SRTT(), rtt.RTTVAR(), rtt.RTO())
	// Output:
	// before the first sample 1s
	// after it 100ms 50ms 300ms
	// no answer within it 600ms
	// after the next 105ms 47.5ms 295ms
}

func ExampleTCP_UserTimeout() {
	t := keepalive.TCP{Idle: 60 * time.Second, Interval: 10 * time.Second, Count: 3}
	fmt.Println(t.UserTimeout())
	// Output: 1m30s
}
