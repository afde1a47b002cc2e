package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/caddy-gopr/caddy-gopr/store/redis/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, url string) *Redis {
	t.Helper()
	r, err := Open(url, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// set is a command that can fail in every way.
func set(t *testing.T, r *Redis) error {
	return r.Pipe(t.Context(), func(p redis.Pipeliner) { p.Set(t.Context(), r.Key("s", "a", ""), 1, 0) })
}

func TestHealth(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "hunter2")
	r := open(t, fmt.Sprintf("redis://:hunter2@127.0.0.1:%d?timeout=1s", server.Port))
	if h := r.Health(); h.Up || !h.Since.IsZero() || h.Err != nil {
		t.Errorf("before the first command: %+v", h)
	}
	if err := set(t, r); err != nil {
		t.Fatal(err)
	}
	if h := r.Health(); !h.Up || h.Since.IsZero() || h.Err != nil {
		t.Errorf("after it: %+v", h)
	}
	if err := r.Pipe(t.Context(), func(p redis.Pipeliner) { p.HGet(t.Context(), r.Key("s", "a", ""), "x") }); !Answered(err) {
		t.Errorf("a command of the wrong type: %v", err)
	}
	if h := r.Health(); !h.Up {
		t.Errorf("what a server refuses is an answer: %+v", h)
	}

	goOn := server.Stop()
	err := set(t, r)
	if err == nil || Answered(err) {
		t.Errorf("a server that does not answer: %v", err)
	}
	h := r.Health()
	if h.Up || h.Err == nil || h.Lost != 1 {
		t.Errorf("a server that does not answer: %+v", h)
	}
	goOn()

	server.Kill()
	err = set(t, r)
	if where := fmt.Sprintf("redis 127.0.0.1:%d: ", server.Port); err == nil || !strings.HasPrefix(err.Error(), where) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a server that is away: %v, want it to begin with %q", err, where)
	}
	ctx, cancel := context.WithCancel(t.Context())
	server.Run()
	if err := set(t, r); err != nil {
		t.Errorf("a server that came back: %v", err)
	}
	cancel()
	if err := r.Set(ctx, "gopr:x", 1, 0).Err(); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if h := r.Health(); !h.Up || h.Lost != 1 {
		t.Errorf("it came back, and somebody did not wait: %+v", h)
	}

	wrong := open(t, fmt.Sprintf("redis://:hunter3@127.0.0.1:%d", server.Port))
	if err := set(t, wrong); err == nil || strings.Contains(err.Error(), "hunter3") {
		t.Errorf("a wrong password: %v", err)
	}
	if h := wrong.Health(); h.Up || h.Err == nil {
		t.Errorf("a wrong password: %+v", h)
	}
}

func TestReplicas(t *testing.T) {
	master := redistest.Start(t)
	r := open(t, master.URL+"?replicas=1&timeout=1s")
	if err := set(t, r); !errors.Is(err, ErrReplicas) {
		t.Errorf("without a replica: %v", err)
	}
	replica := redistest.Start(t, "--replicaof", fmt.Sprint("127.0.0.1 ", master.Port))
	patient := open(t, master.URL+"?replicas=1&timeout=20s")
	if err := set(t, patient); err != nil {
		t.Errorf("with a replica: %v", err)
	}
	if err := set(t, open(t, replica.URL)); !redis.HasErrorPrefix(errors.Unwrap(err), "READONLY") {
		t.Errorf("to a replica: %v", err)
	}
}

func TestUnixSocket(t *testing.T) {
	server := redistest.Start(t)
	if err := set(t, open(t, "unix://"+server.Socket+"?db=2")); err != nil {
		t.Error(err)
	}
	if n := open(t, strings.TrimSuffix(server.URL, "0")+"2").DBSize(t.Context()).Val(); n != 1 {
		t.Errorf("database 2 has %d keys, want the one", n)
	}
}
