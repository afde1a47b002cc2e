package upstream

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// Backups take over when no other backend can be expected to answer, and are relieved when one can.
func TestBackups(t *testing.T) {
	for _, pooling := range []Pooling{Session, Request} {
		t.Run(string(pooling), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork("a:1", "b:1", "z:1")
				g := n.group(t, Config{Backends: []string{"a:1", "b:1"}, Backups: []string{"z:1"}, Pooling: pooling})
				expect := func(when string, want ...string) {
					t.Helper()
					n.served()
					askFrom(t, g, 30)
					got := n.served()
					total := 0
					for _, addr := range want {
						if got[addr] == 0 {
							t.Errorf("%s: %s serves nobody: %v", when, addr, got)
						}
						total += got[addr]
					}
					if total != 30 {
						t.Errorf("%s: served %v, want all by %v", when, got, want)
					}
				}
				time.Sleep(10 * time.Second)
				expect("all is well", "a:1", "b:1")
				n["a:1"].stop()
				time.Sleep(10 * time.Second)
				expect("one is left", "b:1")
				n["b:1"].stop()
				time.Sleep(10 * time.Second)
				expect("none is left", "z:1")
				n["b:1"].start()
				time.Sleep(10 * time.Minute)
				expect("one is back", "b:1")
			})
		})
	}
}

// No more than so many a second; the others wait, and nobody is forgotten.
func TestBackupRate(t *testing.T) {
	for _, pooling := range []Pooling{Session, Request} {
		for _, policy := range []Policy{RoundRobin, ClientHash} {
			t.Run(fmt.Sprint(pooling, policy), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := newNetwork("a:1", "z:1")
					n["a:1"].stop()
					g := n.group(t, Config{Backends: []string{"a:1"}, Backups: []string{"z:1"}, BackupRate: 10, Pooling: pooling, Policy: policy, MinLinks: 2})
					time.Sleep(20 * time.Second)
					begin := time.Now()
					var all []*peer
					for i := range 40 {
						p := from(t, g, ipOf(i))
						p.ask("x")
						all = append(all, p)
					}
					for _, tt := range []struct {
						after time.Duration
						want  int
					}{{0, 10}, {time.Second, 20}, {2 * time.Second, 30}, {3 * time.Second, 40}} {
						time.Sleep(time.Until(begin.Add(tt.after + 50*ms)))
						synctest.Wait()
						got := 0
						for _, p := range all {
							p.mu.Lock()
							got += len(p.got)
							p.mu.Unlock()
						}
						if got < tt.want-1 || got > tt.want+1 {
							t.Errorf("after %v: %d were answered, want %d", tt.after, got, tt.want)
						}
					}
				})
			})
		}
	}
}

// Where a backup fails, too, all backends are tried again.
func TestBackupsFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1", "z:1")
		n["a:1"].stop()
		n["z:1"].stop()
		g := n.group(t, Config{Backends: []string{"a:1"}, Backups: []string{"z:1"}})
		time.Sleep(20 * time.Second)
		if a := g.state(t, "a:1"); !a.Takes {
			t.Errorf("%+v", a)
		}
		n["a:1"].start()
		askFrom(t, g, 1) // within the minute that this waits, though the backend was in its pause
		if at := n.served(); at["a:1"] != 1 {
			t.Errorf("served: %v", at)
		}
	})
}
