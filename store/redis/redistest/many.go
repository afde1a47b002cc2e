package redistest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Cluster starts a cluster of three masters, and returns its URL.
func Cluster(t testing.TB) (url string) {
	t.Helper()
	Need(t, "redis-cli")
	var nodes []string
	for range 3 {
		// A node has a second port, for the others.
		s := Start(t, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(Port(t)), "--cluster-node-timeout", "5000")
		nodes = append(nodes, fmt.Sprintf("127.0.0.1:%d", s.Port))
	}
	create := exec.Command("redis-cli", append([]string{"--cluster-yes", "--cluster", "create"}, nodes...)...)
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("redis-cli --cluster create: %v\n%s", err, out)
	}
	for _, node := range nodes {
		_, port, _ := strings.Cut(node, ":")
		until(t, "the cluster is not whole", func() bool {
			out, _ := exec.Command("redis-cli", "-p", port, "cluster", "info").Output()
			return strings.Contains(string(out), "cluster_state:ok") && strings.Contains(string(out), "cluster_slots_ok:16384")
		})
	}
	return "redis+cluster://" + strings.Join(nodes, ",")
}

// Sentinel starts a master, its replica and a Sentinel that makes the replica the master when that is gone.
func Sentinel(t testing.TB) (url string, master *Server) {
	t.Helper()
	master = Start(t)
	replica := Start(t, "--replicaof", fmt.Sprint("127.0.0.1 ", master.Port))
	master.Replica = replica
	until(t, "the replica has no master", func() bool {
		out, _ := exec.Command("redis-cli", "-p", strconv.Itoa(replica.Port), "info", "replication").Output()
		return strings.Contains(string(out), "master_link_status:up")
	})
	// A replica whose link is up acknowledges nothing for another second.
	until(t, "the replica acknowledges nothing", func() bool {
		cli := exec.Command("redis-cli", "-p", strconv.Itoa(master.Port))
		cli.Stdin = strings.NewReader("set ready 1\nwait 1 1000\ndel ready\n")
		out, _ := cli.Output()
		return string(out) == "OK\n1\n1\n"
	})

	port := Port(t)
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf(`port %d
bind 127.0.0.1
sentinel monitor mymaster 127.0.0.1 %d 1
sentinel down-after-milliseconds mymaster 2000
sentinel failover-timeout mymaster 2000
`, port, master.Port)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	sentinel := &Server{Port: port, t: t, dir: filepath.Dir(file), args: []string{file, "--sentinel", "--logfile", filepath.Join(filepath.Dir(file), "log")}}
	sentinel.Run()
	t.Cleanup(sentinel.Kill)
	until(t, "the Sentinel knows no replica", func() bool {
		out, _ := exec.Command("redis-cli", "-p", strconv.Itoa(port), "sentinel", "replicas", "mymaster").Output()
		return strings.Contains(string(out), strconv.Itoa(replica.Port)) && strings.Contains(string(out), "master-link-status\nok")
	})
	return fmt.Sprintf("redis+sentinel://127.0.0.1:%d/mymaster/0", port), master
}

func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

// CutReplica has the master's replica miss all that is written from now on, and not know of it.
func (s *Server) CutReplica() {
	s.t.Helper()
	s.cli(s.Replica, "config", "set", "masterauth", "no such password") // it does not get in again
	s.cli(s, "client", "kill", "type", "replica")
	until(s.t, "the replica is still connected", func() bool { return strings.Contains(s.cli(s, "info", "replication"), "connected_slaves:0") })
}

func (s *Server) cli(to *Server, args ...string) string {
	s.t.Helper()
	out, err := exec.Command("redis-cli", append([]string{"-p", strconv.Itoa(to.Port)}, args...)...).Output()
	if err != nil {
		s.t.Fatalf("redis-cli %v: %v", args, err)
	}
	return string(out)
}

// Memory returns how many bytes the server uses.
func (s *Server) Memory() int {
	s.t.Helper()
	Need(s.t, "redis-cli")
	out, err := exec.Command("redis-cli", "-p", strconv.Itoa(s.Port), "info", "memory").Output()
	if err != nil {
		s.t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(out), "used_memory:")
	text, _, _ = strings.Cut(text, "\r")
	n, err := strconv.Atoi(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}
