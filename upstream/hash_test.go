package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math"
	"net"
	"testing"
	"testing/synctest"
)

// fake is a candidate without a backend.
type fake struct {
	stand standing
	n     int64
	full  bool
}

func (f fake) load() int64        { return f.n }
func (f fake) room(int) bool      { return !f.full }
func (f fake) standing() standing { return f.stand }

// fakes have the weights given, and nothing to do.
func fakes(weights ...int) []fake {
	of := make([]fake, len(weights))
	for i, w := range weights {
		of[i].stand = standing{share: w, seed: hashOf(fmt.Appendf(nil, "10.0.0.%d:9000", i+1))}
	}
	return of
}

// homes returns which candidate each of many clients has.
func homes(of []fake, clients int) []int {
	at := make([]int, clients)
	for i := range at {
		at[i] = choose(ClientHash, of, choice{key: hashOf(fmt.Appendf(nil, "device-%06d", i))})
	}
	return at
}

const manyClients = 40000

// Each backend has its share of the clients, give or take what chance does to a hash that is even.
func TestHashIsBalanced(t *testing.T) {
	for _, weights := range [][]int{{1, 1}, {1, 1, 1}, {1, 2, 3}, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {100, 1, 50}} {
		total := 0
		for _, w := range weights {
			total += w
		}
		got := make([]int, len(weights))
		for _, at := range homes(fakes(weights...), manyClients) {
			got[at]++
		}
		for i, w := range weights {
			p := float64(w) / float64(total)
			want, sigma := manyClients*p, math.Sqrt(manyClients*p*(1-p))
			if math.Abs(float64(got[i])-want) > 5*sigma {
				t.Errorf("weights %v: %d clients on the one with %d, want %.0f ± %.0f", weights, got[i], w, want, 5*sigma)
			}
		}
	}
}

// When a backend goes, its own clients move and no other; so does it when it comes. They spread over all.
func TestHashIsStable(t *testing.T) {
	for _, n := range []int{2, 3, 5, 10} {
		weights := make([]int, n)
		for i := range weights {
			weights[i] = 1 + i%3
		}
		of := fakes(weights...)
		before := homes(of, manyClients)
		for gone := range of {
			of[gone].full = true
			after := homes(of, manyClients)
			of[gone].full = false
			moved, to := 0, make(map[int]int)
			for i := range before {
				if before[i] == after[i] {
					continue
				}
				if before[i] != gone {
					t.Fatalf("%d backends: without %d a client of %d moves", n, gone, before[i])
				}
				moved++
				to[after[i]]++
			}
			total := 0
			for _, w := range weights {
				total += w
			}
			if share := float64(moved) / manyClients; share > float64(weights[gone])/float64(total)+0.01 {
				t.Errorf("%d backends: without %d a share of %.3f moves", n, gone, share)
			}
			if len(to) != n-1 {
				t.Errorf("%d backends: the clients of %d moved to %d others", n, gone, len(to))
			}
		}
	}
}

// A weight that grows draws clients to its backend, and moves none between the others.
func TestHashFollowsWeights(t *testing.T) {
	before := homes(fakes(1, 1, 1), manyClients)
	after := homes(fakes(1, 1, 2), manyClients)
	for i := range before {
		if before[i] != after[i] && after[i] != 2 {
			t.Fatalf("a client moved from %d to %d", before[i], after[i])
		}
	}
}

// What a client's place depends on must not change between releases, or each update would move clients.
func TestHashOfRecord(t *testing.T) {
	got := homes(fakes(1, 1, 1), 12)
	if want := "[1 1 1 0 1 1 1 1 1 2 1 2]"; fmt.Sprint(got) != want {
		t.Errorf("places %v, want %s", got, want)
	}
}

func TestClientKey(t *testing.T) {
	addr := func(s string) net.Addr {
		a, err := net.ResolveTCPAddr("tcp", s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	cert := func(subject string) *tls.ConnectionState {
		return &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{RawSubject: []byte(subject)}}}
	}
	const noName = "\x30\x00"
	for _, tt := range []struct {
		name   string
		policy Policy
		a, b   Client
		same   bool
	}{
		{"another port", IPHash, Client{Source: addr("10.0.0.1:1")}, Client{Source: addr("10.0.0.1:2")}, true},
		{"another address", IPHash, Client{Source: addr("10.0.0.1:1")}, Client{Source: addr("10.0.0.2:1")}, false},
		{"an IPv6 address, as it is", IPHash, Client{Source: addr("[2001:db8::1]:1")}, Client{Source: addr("[2001:db8::2]:1")}, false},
		{"IPv4 within IPv6", IPHash, Client{Source: addr("[::ffff:10.0.0.1]:1")}, Client{Source: addr("10.0.0.1:1")}, true},
		{"other addresses than TCP's", IPHash, Client{Source: pipeAddr("10.0.0.1:1")}, Client{Source: pipeAddr("10.0.0.1:2")}, true},
		{"addresses without a port", IPHash, Client{Source: pipeAddr("@a")}, Client{Source: pipeAddr("@b")}, false},
		{"the certificate, not the address", ClientHash, Client{addr("10.0.0.1:1"), nil, cert("CN=a")}, Client{addr("10.0.0.2:1"), nil, cert("CN=a")}, true},
		{"another certificate", ClientHash, Client{addr("10.0.0.1:1"), nil, cert("CN=a")}, Client{addr("10.0.0.1:1"), nil, cert("CN=b")}, false},
		{"ip_hash asks for no certificate", IPHash, Client{addr("10.0.0.1:1"), nil, cert("CN=a")}, Client{addr("10.0.0.1:1"), nil, cert("CN=b")}, true},
		{"TLS without a certificate", ClientHash, Client{addr("10.0.0.1:1"), nil, &tls.ConnectionState{}}, Client{Source: addr("10.0.0.1:2")}, true},
		{"a certificate without a subject", ClientHash, Client{addr("10.0.0.1:1"), nil, cert(noName)}, Client{addr("10.0.0.2:1"), nil, cert(noName)}, false},
		{"nothing known", ClientHash, Client{}, Client{}, true},
	} {
		if same := tt.a.key(tt.policy) == tt.b.key(tt.policy); same != tt.same {
			t.Errorf("%s: the same: %v", tt.name, same)
		}
	}
}

type pipeAddr string

func (pipeAddr) Network() string  { return "pipe" }
func (a pipeAddr) String() string { return string(a) }

// from has a client of an address take a lease.
func from(t testing.TB, g *Group, ip string) *peer {
	t.Helper()
	p := &peer{t: t}
	p.lease = g.Lease(p, Client{Source: &net.TCPAddr{IP: net.ParseIP(ip), Port: 1}})
	return p
}

// Each client has its own backend whatever the others do: with spare links and without, alone and in a crowd, and again after its backend was away.
func TestHashedClients(t *testing.T) {
	for _, pooling := range []Pooling{Session, Request} {
		for _, warm := range []int{-1, 1, 20} {
			t.Run(fmt.Sprintf("%s, %d spares", pooling, warm), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := newNetwork("a:1", "b:1", "c:1")
					g := n.group(t, Config{Policy: IPHash, Pooling: pooling, MinLinks: warm})
					crowd := func() map[string]string {
						var all []*peer
						at := make(map[string]string)
						for i := range 60 {
							p := from(t, g, fmt.Sprintf("10.1.0.%d", i))
							p.ask("x")
							all = append(all, p)
						}
						waitAnswers(t, all)
						for i, p := range all {
							at[fmt.Sprintf("10.1.0.%d", i)] = p.lease.Backend()
							p.lease.Close()
						}
						synctest.Wait()
						return at
					}
					synctest.Wait()
					before := crowd()
					again := crowd()
					n["b:1"].stop()
					synctest.Wait()
					without := crowd()
					n["b:1"].start()
					waitConnected(g, "b:1")
					back := crowd()
					for ip, at := range before {
						switch {
						case again[ip] != at:
							t.Errorf("%s was on %s, and then on %s", ip, at, again[ip])
						case at != "b:1" && without[ip] != at:
							t.Errorf("%s moved from %s to %s when another went", ip, at, without[ip])
						case without[ip] == "b:1":
							t.Errorf("%s is on the one that is down", ip)
						case back[ip] != at:
							t.Errorf("%s was on %s, and afterwards on %s", ip, at, back[ip])
						}
					}
				})
			})
		}
	}
}
