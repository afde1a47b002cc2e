package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// abuses are what a bad client does with a connection, until that ends.
var abuses = map[string]func(net.Conn){
	"silent": func(nc net.Conn) { _, _ = io.Copy(io.Discard, nc) },
	"drip": func(nc net.Conn) {
		for f := ping(make([]byte, 100)); len(f) > 0; f = f[1:] {
			if _, err := nc.Write(f[:1]); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	},
	"deaf": func(nc net.Conn) {
		_ = nc.(*net.TCPConn).SetReadBuffer(4 << 10)
		for f := request(make([]byte, 16<<10)); ; time.Sleep(pace) {
			if _, err := nc.Write(f); err != nil {
				return
			}
		}
	},
	"reconnect": func(net.Conn) {},
	"flood": func(nc net.Conn) {
		go func() { _, _ = io.Copy(io.Discard, nc) }()
		var many []byte
		for range 1000 {
			many = append(many, request([]byte("flood"))...)
		}
		for {
			if _, err := nc.Write(many); err != nil {
				return
			}
		}
	},
}

// pace is how often a client that does not read asks: so that all together ask for 80 MB a second, whose echo is not what they are here for.
var pace time.Duration

// again is how long a bad client waits before it comes back.
var again = map[string]time.Duration{"reconnect": 10 * time.Millisecond}

// playAbuser is args[2] bad clients of the kind args[0], at args[1], from args[3] addresses. Each round says how often they have connected, and how many of
// them are connected. Others than this process come first on the processor: bad clients have machines of their own.
func playAbuser(args []string) error {
	yields()
	abuse, at, pause := abuses[args[0]], args[1], time.Second
	if p, ok := again[args[0]]; ok {
		pause = p
	}
	n, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	pace = time.Duration(n) * 200 * time.Microsecond
	if n > 1000 {
		pause *= 5 // of so many, no more than some thousand a second
	}
	addrs, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	var connects, refused, now atomic.Int64
	for i := range n {
		from := &net.TCPAddr{IP: net.IPv4(127, 0, 1+byte(i%addrs/200), 1+byte(i%addrs%200))}
		go func() {
			time.Sleep(time.Duration(i) * 5 * time.Second / time.Duration(max(n, 5000))) // not all in one moment: the backlog of a listener is short
			d := net.Dialer{LocalAddr: from, Timeout: patience}
			for ; ; time.Sleep(pause) {
				nc, err := d.Dial("tcp", at)
				if err != nil {
					refused.Add(1)
					continue
				}
				connects.Add(1)
				now.Add(1)
				abuse(nc)
				now.Add(-1)
				_ = nc.(*net.TCPConn).SetLinger(0) // no socket of ours is left in TIME_WAIT: their ports are few
				_ = nc.Close()
			}
		}()
	}
	return rounds(func() error {
		fmt.Println(connects.Load(), refused.Load(), now.Load())
		return nil
	})
}

// playGood is args[1] good clients at args[0], each of which asks 50 times a second. Each round says how many answers came since the last, in how many
// microseconds half of them did, and 99 of 100. A good client that notices anything else ends the process with an error.
func playGood(args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var took []time.Duration
	for i := range n {
		d, err := connect(args[0])
		if err != nil {
			return err
		}
		go func() {
			time.Sleep(time.Duration(i) * time.Millisecond)
			for n := 0; ; n++ {
				began := time.Now()
				if err := d.ask(fmt.Sprintf("request %d", n)); err != nil {
					fmt.Fprintf(os.Stderr, "a good client noticed: %v\n", err)
					os.Exit(1)
				}
				mu.Lock()
				took = append(took, time.Since(began))
				mu.Unlock()
				time.Sleep(20 * time.Millisecond)
			}
		}()
	}
	return rounds(func() error {
		mu.Lock()
		all := took
		took = nil
		mu.Unlock()
		slices.Sort(all)
		if len(all) == 0 {
			fmt.Println(0, 0, 0)
			return nil
		}
		fmt.Println(len(all), all[len(all)/2].Microseconds(), all[len(all)*99/100].Microseconds())
		return nil
	})
}
