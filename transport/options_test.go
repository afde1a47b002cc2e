package transport

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// Another bound holds for the next write; what was full is drained by the bound that holds then.
func TestSetOptionsHigh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		drained := 0
		s := start(t, networks[2], nil, &life{drained: func() { drained++ }}).run(t)
		write := func(n int, want bool) {
			t.Helper()
			if full, err := s.Write(make([]byte, n)); full != want || err != nil {
				t.Errorf("a write with %d bytes unsent: full %v, %v", s.Unsent(), full, err)
			}
		}
		write(100, false)
		s.SetOptions(&Options{High: 50})
		write(1, true)
		s.SetOptions(nil)
		synctest.Wait()
		if _, err := io.ReadFull(s.peer, make([]byte, 101)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if drained != 1 {
			t.Errorf("drained %d times, want once", drained)
		}
		write(100, false)
	})
}

// Another timeout holds from the next thing that the peer takes: a shorter one, too.
func TestSetOptionsWriteTimeout(t *testing.T) {
	for _, tt := range []struct{ before, after time.Duration }{{time.Hour, time.Second}, {time.Second, time.Hour}} {
		synctest.Test(t, func(t *testing.T) {
			s := start(t, networks[2], &Options{WriteTimeout: tt.before}, &life{}).run(t)
			if _, err := s.Write(make([]byte, 2*writeChunk)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			s.SetOptions(&Options{WriteTimeout: tt.after})
			began := time.Now()
			if _, err := io.ReadFull(s.peer, make([]byte, writeChunk)); err != nil {
				t.Fatal(err)
			}
			if err := s.wait(); !errors.Is(err, ErrWriteTimeout) {
				t.Errorf("ended with %v", err)
			}
			if took := time.Since(began); took != tt.after {
				t.Errorf("ended after %v, want %v", took, tt.after)
			}
		})
	}
}
