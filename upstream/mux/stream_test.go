package mux

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// TestDeadlines: as of any net.Conn, also when one is moved while somebody waits.
func TestDeadlines(t *testing.T) {
	stuck := make(chan struct{})
	s := newServer(t, func(net.Conn) { <-stuck })
	defer close(stuck)
	nc := open(t, s.pool(Config{}))
	_ = nc.SetReadDeadline(time.Unix(1, 0))
	if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading: %v", err)
	}
	_ = nc.SetReadDeadline(time.Time{})
	got := make(chan error, 1)
	go func() {
		_, err := nc.Read(make([]byte, 1))
		got <- err
	}()
	_ = nc.SetReadDeadline(time.Unix(1, 0))
	if err := <-got; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading: %v", err)
	}
	go func() {
		n, err := nc.Write(make([]byte, 1<<20)) // four windows
		if n >= 1<<20 {
			err = errors.New("all was taken by a server that reads nothing")
		}
		got <- err
	}()
	_ = nc.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
	if err := <-got; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("writing: %v", err)
	}
}

// TestStuck: a stream that nobody reads, at either end, holds up no other on the same connection.
func TestStuck(t *testing.T) {
	const size = 8 << 20
	over := make(chan struct{})
	s := newServer(t, func(nc net.Conn) {
		kind := make([]byte, 1)
		if _, err := io.ReadFull(nc, kind); err != nil {
			return
		}
		switch kind[0] {
		case 'e':
			echo(nc)
		case 'f': // floods
			_, _ = nc.Write(make([]byte, size))
		case 's': // reads nothing
			<-over
		}
	})
	t.Cleanup(func() { close(over) })
	p := s.pool(Config{Streams: 10})
	for _, kind := range []string{"f", "s"} {
		nc := open(t, p)
		if _, err := io.WriteString(nc, kind); err != nil {
			t.Fatal(err)
		}
		if kind == "s" {
			go func() { _, _ = nc.Write(make([]byte, size)) }()
		}
	}
	var all sync.WaitGroup
	for range 3 {
		nc := open(t, p)
		all.Go(func() {
			if _, err := io.WriteString(nc, "e"); err != nil {
				t.Error(err)
			}
			sent := bytes.Repeat([]byte("0123456789abcdef"), size/16)
			all.Go(func() { _, _ = nc.Write(sent) })
			got := make([]byte, size)
			if _, err := io.ReadFull(nc, got); err != nil || !bytes.Equal(got, sent) {
				t.Errorf("%v, or other bytes", err)
			}
		})
	}
	all.Wait()
	if n := s.dials.Load(); n != 1 {
		t.Errorf("%d connections, want 1: the test is about streams of one", n)
	}
}

// TestJoined: a header and what it announces leave with one write, and everything comes as it was given.
func TestJoined(t *testing.T) {
	header := func(kind byte, length byte) string {
		return "\x00" + string(kind) + "\x00\x01\x00\x00\x00\x01\x00\x00\x00" + string(length)
	}
	for _, tt := range []struct {
		name string
		in   []string
		want []string
	}{
		{"data", []string{header(0, 5), "hello"}, []string{header(0, 5) + "hello"}},
		{"no data", []string{header(0, 0), header(0, 5), "hello"}, []string{header(0, 0), header(0, 5) + "hello"}},
		{"a window", []string{header(1, 5), header(0, 1), "x"}, []string{header(1, 5), header(0, 1) + "x"}},
		{"data like a header", []string{header(0, 12), header(0, 1), header(0, 1), "y"}, []string{header(0, 12) + header(0, 1), header(0, 1) + "y"}},
	} {
		var out writes
		c := joined(&out)
		for _, b := range tt.in {
			if n, err := c.Write([]byte(b)); n != len(b) || err != nil {
				t.Errorf("%s: %d %v", tt.name, n, err)
			}
		}
		if len(out.all) != len(tt.want) {
			t.Fatalf("%s: %q, want %q", tt.name, out.all, tt.want)
		}
		for i := range tt.want {
			if out.all[i] != tt.want[i] {
				t.Errorf("%s: %q, want %q", tt.name, out.all[i], tt.want[i])
			}
		}
	}
}

type writes struct {
	net.Conn
	all []string
}

func (w *writes) Write(b []byte) (int, error) {
	w.all = append(w.all, string(b))
	return len(b), nil
}
