package mux

import (
	"os"
	"sync"

	"github.com/hashicorp/yamux"
)

// stream is one stream, as a net.Conn that behaves as others do: a deadline that has passed is os.ErrDeadlineExceeded.
type stream struct {
	*yamux.Stream
	once sync.Once
	left func()
}

// Read reads what has come, at most the window of the stream, which is 256 KiB, lies ready. What lies ready is held in a buffer that grows with it; it is given up
// when a deadline passes and nothing is there.
func (s *stream) Read(b []byte) (int, error) {
	n, err := s.Stream.Read(b)
	if err == yamux.ErrTimeout {
		s.Shrink()
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

// Write waits while the server has not read a window of bytes of this stream, and while the connection does not take them.
func (s *stream) Write(b []byte) (int, error) {
	n, err := s.Stream.Write(b)
	if err == yamux.ErrTimeout {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

// Close ends the stream: what was written is sent, what comes is dropped.
func (s *stream) Close() error {
	err := s.Stream.Close()
	s.once.Do(s.left)
	return err
}
