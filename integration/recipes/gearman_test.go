package recipes

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const gearmanPage = "gearman.md"

func gearmand(t *testing.T) *program {
	t.Helper()
	path, addr := find(t, "gearmand", "gearman-job-server"), freeAddr(t)
	return launch(t, exec.Command(path, "--listen=127.0.0.1", "--port="+portOf(addr), "--log-file=stderr", "--user=root"), addr)
}

func gearmanFrame(magic string, command uint32, payload string) []byte {
	b := binary.BigEndian.AppendUint32([]byte(magic), command)
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload)))
	return append(b, payload...)
}

func TestGearman(t *testing.T) {
	gearman := find(t, "gearman", "gearman-tools")
	server := gearmand(t)
	g := serve(t, gearmanPage, 0, ":4730", "10.0.0.1:4730", server)

	// 50 programs queue a job each; a worker, on the server itself, then gets each of them once.
	t.Run("gearman -b", func(t *testing.T) {
		crowd(t, func(i int) error {
			_, err := run(fmt.Sprintf("job %02d", i), gearman, "-h", "127.0.0.1", "-p", portOf(g.addr), "-b", "-f", "note", "-u", fmt.Sprint(i))
			return err
		})
		g.fewLinks()
		out, err := run("", gearman, "-w", "-h", "127.0.0.1", "-p", portOf(server.addr), "-c", fmt.Sprint(clients), "-f", "note", "--", "sh", "-c", "cat >&2; echo >&2")
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Split(strings.TrimSpace(out), "\n")
		slices.Sort(got)
		var want []string
		for i := range clients {
			want = append(want, fmt.Sprintf("job %02d", i))
		}
		if !slices.Equal(got, want) {
			t.Errorf("the worker got %q, want %q", got, want)
		}
	})
	// Nothing in an answer to GET_STATUS but the job's handle says whose it is: each client asks for one of its own.
	t.Run("50 at once", func(t *testing.T) {
		g.together(func(i int) question {
			handle := fmt.Sprintf("H:absent:%d", i)
			return question{gearmanFrame("\x00REQ", 15, handle), gearmanFrame("\x00RES", 20, handle+"\x000\x000\x000\x000")}
		})
	})
	// A job in the foreground has several answers: it is refused, and not sent on.
	t.Run("refused", func(t *testing.T) {
		c := g.dial()
		defer c.Close()
		if err := exchange(c, question{gearmanFrame("\x00REQ", 7, "note\x00id\x00hello"), []byte{0}}); !errors.Is(err, io.EOF) {
			t.Errorf("a foreground job: %v, want the connection to end", err)
		}
		if n := g.metric("rejected_frames_total", `reason="command"`); n == 0 {
			t.Error("no frame was rejected for its command")
		}
	})
	g.atTheEdge(server, question{gearmanFrame("\x00REQ", 16, "echo"), gearmanFrame("\x00RES", 17, "echo")})
}

// Workers, and the jobs that clients wait for, go through session pooling.
func TestGearmanSession(t *testing.T) {
	gearman := find(t, "gearman", "gearman-tools")
	g := serve(t, gearmanPage, 1, ":4731", "10.0.0.1:4730", gearmand(t))
	worker := make(chan error, 1)
	go func() {
		_, err := run("", gearman, "-w", "-h", "127.0.0.1", "-p", portOf(g.addr), "-c", fmt.Sprint(clients), "-f", "upper", "--", "tr", "a-z", "A-Z")
		worker <- err
	}()
	crowd(t, func(i int) error {
		got, err := run(fmt.Sprintf("job %d", i), gearman, "-h", "127.0.0.1", "-p", portOf(g.addr), "-f", "upper")
		if err == nil && got != fmt.Sprintf("JOB %d", i) {
			err = fmt.Errorf("got %q", got)
		}
		return err
	})
	if err := <-worker; err != nil {
		t.Error(err)
	}
}
