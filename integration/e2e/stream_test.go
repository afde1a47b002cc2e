package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

// ways are all ways that frames can take through one Caddy: each is a server of layer4 that must answer the same.
const ways = `
		${echo} {
			route {
				gopr echo {
					respond echo
				}
			}
		}
		${upstream} {
			route {
				gopr upstream {
					upstream ${backend}
				}
			}
		}
		${twice} {
			route {
				gopr twice {
					upstream ${upstream}
				}
			}
		}
		${matched} {
			@gopr gopr
			route @gopr {
				gopr matched {
					upstream ${backend}
				}
			}
		}
		${tls} {
			route {
				tls
				gopr tls {
					upstream ${backend}
				}
			}
		}
		${throttled} {
			route {
				throttle {
					read_bytes_per_second 50000000
					read_burst_size 3000
				}
				gopr throttled {
					upstream ${backend}
				}
			}
		}
		${proxied} {
			route {
				proxy_protocol {
					timeout 10s
					allow 127.0.0.1/32
				}
				gopr proxied {
					upstream ${backend}
				}
			}
		}
`

// way is one of the ways, with how a device goes it.
type way struct {
	name string
	dial func(t testing.TB) *device
}

func startWays(t *testing.T) (all []way) {
	t.Helper()
	b := newBackend(t, echoes)
	c := start(t, configTLS(ways), places{"backend": b.addr})
	for _, name := range []string{"echo", "upstream", "twice", "matched", "throttled"} {
		all = append(all, way{name, func(t testing.TB) *device { return dial(t, c.addr(name)) }})
	}
	return append(all,
		way{"tls", func(t testing.TB) *device { return c.dialTLS(c.addr("tls")) }},
		way{"proxied", func(t testing.TB) *device {
			d := dial(t, c.addr("proxied"))
			check(t, d.send([]byte("PROXY TCP4 192.0.2.7 127.0.0.1 4711 7450\r\n")))
			return d
		}},
	)
}

// TestStreams sends the same streams, cut into pieces in different ways, every way through Caddy.
func TestStreams(t *testing.T) {
	ways := startWays(t)
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Run("one byte at a time", func(t *testing.T) { oneByteAtATime(t, w.dial(t)) })
			t.Run("2000 requests in one write", func(t *testing.T) { oneWrite(t, w.dial(t)) })
			t.Run("pieces of any size", func(t *testing.T) { anyPieces(t, w.dial(t)) })
			t.Run("the largest frame", func(t *testing.T) {
				check(t, w.dial(t).ask(string(bytes.Repeat([]byte("0123456789abcdef"), 4096)[:65535])))
			})
			t.Run("100 clients at once", func(t *testing.T) { manyClients(t, w.dial) })
		})
	}
}

func oneByteAtATime(t *testing.T, d *device) {
	for i := range 20 {
		payload := fmt.Appendf(nil, "request %d", i)
		for _, b := range request(payload) {
			check(t, d.send([]byte{b}))
		}
		check(t, d.expect(answer(payload)))
	}
	for _, b := range ping([]byte("sequence")) {
		check(t, d.send([]byte{b}))
	}
	check(t, d.expect(pong([]byte("sequence"))))
}

// stream is n requests, back to back, with the answers that must come back. The payloads' sizes are drawn up to most.
func stream(n, most int, r *rand.Rand) (requests []byte, answers [][]byte) {
	for i := range n {
		payload := bytes.Repeat(fmt.Appendf(nil, "%d of %d ", i, n), 1+r.IntN(1+most/8))
		payload = payload[:min(len(payload), most)]
		requests = append(requests, request(payload)...)
		answers = append(answers, answer(payload))
	}
	return requests, answers
}

// both sends and receives at once, as a device must that sends more than fits on the way.
func both(d *device, send func() error, answers [][]byte) error {
	sent := make(chan error, 1)
	go func() { sent <- send() }()
	err := d.expect(answers...)
	if err != nil {
		_ = d.Close() // which ends the sending
		<-sent
		return err
	}
	return <-sent
}

func oneWrite(t *testing.T, d *device) {
	requests, answers := stream(2000, 200, rand.New(rand.NewPCG(1, 2)))
	check(t, both(d, func() error { return d.send(requests) }, answers))
}

func anyPieces(t *testing.T, d *device) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	requests, answers := stream(300, 2000, r)
	err := both(d, func() error {
		for rest := requests; len(rest) > 0; {
			n := min(len(rest), 1+r.IntN(1+r.IntN(4000)))
			if err := d.send(rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
		}
		return nil
	}, answers)
	if err != nil {
		t.Fatalf("seed %#x: %v", seed, err)
	}
}

func manyClients(t *testing.T, dial func(testing.TB) *device) {
	devices := make([]*device, 100)
	for i := range devices {
		devices[i] = dial(t)
	}
	var wg sync.WaitGroup
	for i, d := range devices {
		wg.Go(func() {
			for round := range 4 {
				var requests []byte
				var answers [][]byte
				for n := range 10 {
					payload := fmt.Appendf(nil, "client %d, round %d, request %d", i, round, n)
					requests, answers = append(requests, request(payload)...), append(answers, answer(payload))
				}
				if err := d.send(requests); err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
				if err := d.expect(answers...); err != nil {
					t.Errorf("client %d, round %d: %v", i, round, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
