package transport

import (
	"bytes"
	"fmt"
	"syscall"
	"testing"
)

// aRing is a ring; where the system has none, there is nothing to test.
func aRing(t *testing.T) *ring {
	t.Helper()
	r := newRing()
	if r == nil {
		t.Skip("this system has no io_uring, or forbids it")
	}
	t.Cleanup(r.close)
	return r
}

// sockets are n pairs of connected sockets that don't block.
func sockets(t *testing.T, n int) (ours, peers []int32) {
	t.Helper()
	for range n {
		pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = syscall.Close(pair[0]), syscall.Close(pair[1]) })
		ours, peers = append(ours, int32(pair[0])), append(peers, int32(pair[1]))
	}
	return ours, peers
}

// However many calls there are, each is made once, and has its own outcome; so it is where the kernel takes none of them.
func TestRing(t *testing.T) {
	t.Parallel()
	for _, refused := range []bool{false, true} {
		for _, n := range []int{1, 2, 3, ringSize - 1, ringSize} {
			t.Run(fmt.Sprintf("%d calls, refused %v", n, refused), func(t *testing.T) {
				t.Parallel()
				r := aRing(t)
				r.refused = refused
				ours, peers := sockets(t, n)
				for round := range 5 { // the queues wrap around
					text := func(i int) []byte { return fmt.Appendf(nil, "round %d, call %d", round, i) }
					for i, fd := range ours {
						r.send(fd, text(i))
					}
					for i, c := range r.submit() {
						if c.err != 0 || c.n != len(text(i)) {
							t.Fatalf("send %d: %d, %v", i, c.n, c.err)
						}
					}
					for _, fd := range peers {
						r.recv(fd, make([]byte, 100))
					}
					if r.full() != (n == ringSize) {
						t.Errorf("full with %d: %v", n, r.full())
					}
					for i, c := range r.submit() {
						if c.err != 0 || !bytes.Equal(c.b[:c.n], text(i)) {
							t.Fatalf("recv %d: %q, %v", i, c.b[:c.n], c.err)
						}
					}
				}
			})
		}
	}
}

// What fails tells so, as the system calls do, and leaves the others alone.
func TestRingErrors(t *testing.T) {
	t.Parallel()
	for _, refused := range []bool{false, true} {
		t.Run(fmt.Sprintf("refused %v", refused), func(t *testing.T) {
			t.Parallel()
			r := aRing(t)
			r.refused = refused
			ours, peers := sockets(t, 4)
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			must(syscall.Shutdown(int(peers[1]), syscall.SHUT_WR))
			must(syscall.Shutdown(int(ours[2]), syscall.SHUT_WR))
			big := make([]byte, 8<<20)
			r.recv(ours[0], make([]byte, 10)) // nothing is there
			r.recv(ours[1], make([]byte, 10)) // and nothing will be
			r.send(ours[2], []byte("a"))      // we have said that nothing would be
			r.send(ours[3], big)              // more than fits
			r.recv(1<<30, make([]byte, 10))   // no such socket
			all := r.submit()
			for i, want := range []ringCall{{err: syscall.EAGAIN}, {}, {err: syscall.EPIPE}, {}, {err: syscall.EBADF}} {
				if c := all[i]; c.err != want.err || c.n != 0 && i != 3 {
					t.Errorf("call %d: %d, %v, not %v", i, c.n, c.err, want.err)
				}
			}
			if n := all[3].n; n == 0 || n == len(big) {
				t.Errorf("%d bytes sent of %d", n, len(big))
			}
			r.send(ours[3], big)
			r.send(ours[0], []byte("a"))
			if all = r.submit(); all[0].n != 0 || all[0].err != 0 || all[1].n != 1 {
				t.Errorf("a full socket: %d, %v; the next: %d, %v", all[0].n, all[0].err, all[1].n, all[1].err)
			}
		})
	}
}

// A kernel that refuses in the middle of its life loses nothing.
func TestRingIsRefused(t *testing.T) {
	t.Parallel()
	r := aRing(t)
	ours, peers := sockets(t, 2)
	fd := r.fd
	r.fd = 1 << 30
	for range 2 {
		r.send(ours[0], []byte("a"))
		r.send(ours[1], []byte("b"))
		if all := r.submit(); all[0].n != 1 || all[1].n != 1 {
			t.Errorf("%+v", all)
		}
	}
	r.fd = fd
	if !r.refused {
		t.Error("it is tried again and again")
	}
	for i, want := range []string{"aa", "bb"} {
		b := make([]byte, 10)
		if n, _ := sysRead(peers[i], b); string(b[:n]) != want {
			t.Errorf("%q came, not %q", b[:n], want)
		}
	}
}

// A ring that can't be made is none.
func TestNoRing(t *testing.T) { // beside no other test, which would find no descriptors
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old) }()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 0, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	if r := newRing(); r != nil {
		r.close()
		t.Error("a ring without a descriptor")
	}
}
