package e2e

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// healthy is a gateway before three backends, that spares one which is slow. The judgement is quicker than by default, so that the test is; with GOPR_FULL it is not.
func healthy() string {
	quick := "window 2s\n\t\t\t\t\t\t\tsample 100ms"
	if full() {
		quick = ""
	}
	return strings.Replace(config(`
		${gopr} {
			route {
				gopr devices {
					upstream ${a} ${b} ${c} {
						pooling request
						connections 1 2
						policy health
						health {
							QUICK
						}
					}
				}
			}
		}`), "QUICK", quick, 1)
}

// asking has devices ask, one request after the other, until the test ends. It returns how many of their requests were lost, each with its connection.
func asking(t testing.TB, addr string, devices int) (lost func() int64, stop func()) {
	t.Helper()
	var failed atomic.Int64
	var wg sync.WaitGroup
	done := make(chan struct{})
	for i := range devices {
		wg.Go(func() {
			for {
				nc, err := net.DialTimeout("tcp", addr, patience)
				if err != nil {
					t.Error(err)
					return
				}
				d := &device{Conn: nc}
				for n := 0; err == nil; n++ {
					select {
					case <-done:
						_ = nc.Close()
						return
					default:
					}
					err = d.ask(fmt.Sprintf("device %d, request %d", i, n))
				}
				_ = nc.Close()
				failed.Add(1)
			}
		})
	}
	stop = sync.OnceFunc(func() {
		close(done)
		wg.Wait()
	})
	t.Cleanup(stop)
	return failed.Load, stop
}

// Of three backends one is slowed by 200 ms: within 10 s it gets nothing more, and within 30 s after that it is as before.
func TestSlowBackendIsSpared(t *testing.T) {
	a, b, c := newBackend(t, echoes), newBackend(t, echoes), newBackend(t, echoes)
	slow := newDelay(t, b.addr)
	caddy := start(t, healthy(), places{"a": a.addr, "b": slow.addr, "c": c.addr})
	answered := func(addr string) float64 {
		return caddy.metric("upstream_request_seconds_count", "devices", "backend", addr)
	}
	takes := func() bool { return caddy.metric("upstream_takes", "devices", "backend", slow.addr) == 1 }

	lost, _ := asking(t, caddy.addr("gopr"), 8)
	eventually(t, "all three are asked", func() bool {
		return answered(a.addr) > 50 && answered(slow.addr) > 50 && answered(c.addr) > 50
	})

	slow.set(200 * time.Millisecond)
	began := time.Now()
	eventually(t, "the slow one takes no more", func() bool { return !takes() })
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the traffic was away after %v, want 10 s at the most", took)
	} else {
		t.Logf("the traffic was away after %v", took)
	}
	if score := caddy.metric("upstream_health_score", "devices", "backend", slow.addr); score >= 85 {
		t.Errorf("its score is %v", score)
	}
	eventually(t, "what it had is answered", func() bool { return caddy.metric("upstream_used", "devices", "backend", slow.addr) == 0 })
	before, others := answered(slow.addr), answered(a.addr)+answered(c.addr)
	eventually(t, "the others are asked", func() bool { return answered(a.addr)+answered(c.addr) > others+1000 })
	if n := answered(slow.addr) - before; n > 0 {
		t.Errorf("it was asked %v times while it was slow", n)
	}

	slow.set(0)
	began = time.Now()
	eventually(t, "it is asked again", func() bool { return takes() && answered(slow.addr) > before+50 })
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("the traffic was back after %v, want 30 s at the most", took)
	} else {
		t.Logf("the traffic was back after %v", took)
	}
	if n := lost(); n > 0 {
		t.Errorf("%d requests were lost", n)
	}
}

// A gate is before the answers of a good backend: until it is opened, requests are held, and pings are answered.
type gate struct {
	opened chan struct{}
	held   atomic.Int64 // requests that wait for it
}

func newGate() *gate { return &gate{opened: make(chan struct{})} }

func (g *gate) serve(nc net.Conn, _ <-chan struct{}) {
	var mu sync.Mutex // guards what follows, and the order of what is written
	var answers []byte
	flush := func() {
		if len(answers) > 0 {
			_, _ = nc.Write(answers) // an error ends the reading, too
			answers = nil
		}
	}
	ended := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-g.opened:
			mu.Lock()
			defer mu.Unlock()
			flush()
		case <-ended:
		}
	})
	defer wg.Wait()
	defer close(ended)
	for d := (&device{Conn: nc, forever: true}); ; {
		f, err := d.next()
		if err != nil {
			return
		}
		mu.Lock()
		switch {
		case f.Cmd == wire.CmdPing:
			_, _ = nc.Write(pong(f.Payload))
		case f.Flag&wire.FlagReq != 0:
			answers = append(answers, answer(f.Payload)...)
			select {
			case <-g.opened:
				flush()
			default:
				g.held.Add(1)
			}
		}
		mu.Unlock()
	}
}

// Of three backends one is killed: who has a request there loses it, and nobody else loses anything.
func TestKilledBackendLosesItsOwn(t *testing.T) {
	const waiting, busy = 36, 6
	var gates [3]*gate
	var all [3]*backend
	for i := range all {
		gates[i] = newGate()
		all[i] = newBackend(t, gates[i].serve)
	}
	caddy := start(t, strings.Replace(healthy(), "policy health", "policy least_conn", 1), places{"a": all[0].addr, "b": all[1].addr, "c": all[2].addr})

	// Many ask at once, so that each backend has some of their requests. Two of the backends then answer.
	devices := make([]*device, waiting)
	for i := range devices {
		devices[i] = dial(t, caddy.addr("gopr"))
		check(t, devices[i].send(request([]byte("hello"))))
	}
	eventually(t, "all have asked", func() bool { return gates[0].held.Load()+gates[1].held.Load()+gates[2].held.Load() == waiting })
	doomed := int(gates[1].held.Load())
	if doomed < busy {
		t.Fatalf("%d of %d requests are on the one that will be killed", doomed, waiting)
	}
	close(gates[0].opened)
	close(gates[2].opened)

	// A few more ask all the time. The others have less to do than the one that does not answer, so they go there.
	lost, stop := asking(t, caddy.addr("gopr"), busy)
	answered := func() float64 {
		return caddy.metric("upstream_request_seconds_count", "devices", "backend", all[0].addr) +
			caddy.metric("upstream_request_seconds_count", "devices", "backend", all[2].addr)
	}
	eventually(t, "they are answered", func() bool { return answered() > 100 })

	all[1].stop()
	caddy.closed("devices", "upstream_lost", doomed)
	before := answered()
	eventually(t, "the others are answered", func() bool { return answered() > before+1000 })
	stop()
	if n := lost(); n > 0 {
		t.Errorf("%d requests were lost that were not on the one that was killed", n)
	}
	kept := 0
	for _, d := range devices {
		if d.expect(answer([]byte("hello"))) == nil && d.ask("still there?") == nil {
			kept++
		}
	}
	if kept != waiting-doomed {
		t.Errorf("%d of those that asked were answered and can ask again, want %d: all but the %d whose requests were on the one that was killed", kept, waiting-doomed, doomed)
	}
	caddy.closed("devices", "upstream_lost", doomed)
}
