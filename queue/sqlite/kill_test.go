package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/queue/sqlite"
)

// victim is the environment variable that makes this test's binary the process that is killed: the path of its store.
const victim = "GOPR_KILL_VICTIM"

const killBoxes = 8

func TestMain(m *testing.M) {
	if path := os.Getenv(victim); path != "" {
		runVictim(path)
		return
	}
	os.Exit(m.Run())
}

// runVictim puts and removes messages until it is killed, and writes down each step: "put" when a message is acknowledged, "remove" before one is removed, and "removed" when
// it is.
func runVictim(path string) {
	s, err := sqlite.Open(path, queue.Bounds{}, nil)
	if err != nil {
		fmt.Println("error", err)
		return
	}
	var out sync.Mutex
	say := func(what string, box int, id uint64) {
		out.Lock()
		defer out.Unlock()
		fmt.Println(what, box, id)
	}
	for n := range killBoxes {
		b := queue.Box{Session: queue.SessionID{byte(n + 1)}}
		go func() {
			fence := uint64(time.Now().UnixNano())
			info, _, err := s.Open(context.Background(), b.Session, fence)
			if err != nil {
				fmt.Println("error", err)
				return
			}
			id := info.Last
			for {
				batch := &queue.Batch{Box: b, Fence: fence}
				first := id + 1
				for range 1 + rand.IntN(5) {
					id++
					m := &queue.Message{ID: id, QoS: 1, Created: time.Now(), Payload: []byte(strconv.FormatUint(id, 10))}
					batch.Ops = append(batch.Ops, queue.Op{Kind: queue.Put, Message: m})
				}
				done := make(chan queue.Result, 1)
				batch.Done = func(r queue.Result) { done <- r }
				s.Do(batch)
				if r := <-done; r.Err != nil || r.Stored != len(batch.Ops) {
					fmt.Println("error", r)
					return
				}
				for i := first; i <= id; i++ {
					say("put", n, i)
				}
				if rand.IntN(3) > 0 {
					say("remove", n, id)
					s.Do(&queue.Batch{Box: b, Fence: fence, Ops: []queue.Op{{Kind: queue.RemoveThrough, ID: id}}, Done: func(r queue.Result) { done <- r }})
					if r := <-done; r.Err != nil {
						fmt.Println("error", r)
						return
					}
					say("removed", n, id)
				}
			}
		}()
	}
	select {}
}

// TestKill kills a process that stores messages, at random moments, with SIGKILL: whatever it acknowledged is there afterwards. GOPR_KILL_ROUNDS says how often; default 5.
func TestKill(t *testing.T) {
	rounds := 5
	if n, err := strconv.Atoi(os.Getenv("GOPR_KILL_ROUNDS")); err == nil {
		rounds = n
	}
	path := filepath.Join(t.TempDir(), "gopr.db")
	var put, removed uint64
	var said [killBoxes]boxSaid
	for range rounds {
		killed(t, path, &said)
		s, err := sqlite.Open(path, queue.Bounds{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for n, box := range said {
			b := queue.Box{Session: queue.SessionID{byte(n + 1)}}
			info, _, err := s.Open(context.Background(), b.Session, uint64(time.Now().UnixNano()))
			if err != nil {
				t.Fatal(err)
			}
			if info.Last < box.put {
				t.Errorf("box %d: message %d was acknowledged, and the last is %d", n, box.put, info.Last)
			}
			all, err := s.Read(context.Background(), b, 0, 1<<20, 1<<30)
			if err != nil {
				t.Fatal(err)
			}
			there := make(map[uint64]bool)
			for _, m := range all {
				there[m.ID] = true
				if string(m.Payload) != strconv.FormatUint(m.ID, 10) {
					t.Errorf("box %d: message %d holds %q", n, m.ID, m.Payload)
				}
				if m.ID <= box.removed {
					t.Errorf("box %d: message %d is there, and those up to %d were removed", n, m.ID, box.removed)
				}
			}
			for id := box.remove + 1; id <= box.put; id++ {
				if !there[id] {
					t.Errorf("box %d: message %d was acknowledged, and is lost", n, id)
				}
			}
			put, removed = put+box.put, removed+box.removed
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if put == 0 || removed == 0 {
		t.Fatalf("%d puts and %d removals: nothing was tested", put, removed)
	}
}

// boxSaid is the highest id of each kind of step.
type boxSaid struct{ put, remove, removed uint64 }

// killed runs the process that is killed, and notes what it says.
func killed(t *testing.T, path string, said *[killBoxes]boxSaid) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victim+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for n := 0; ; n++ {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break // what follows the last newline was not said
		}
		var what string
		var box int
		var id uint64
		if _, err := fmt.Sscan(line, &what, &box, &id); err != nil {
			t.Fatalf("the process says %q", line)
		}
		switch what {
		case "put":
			said[box].put = id
		case "remove":
			said[box].remove = id
		case "removed":
			said[box].removed = id
		}
		if n == 0 {
			time.AfterFunc(time.Duration(rand.IntN(100_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
		}
	}
	_ = cmd.Wait()
}
