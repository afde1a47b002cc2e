package upstream

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// numbered is a format as DNS over TCP has it: two bytes of length, then two of an id.
var numbered = func() *wire.Format {
	f, err := wire.NewFormat("numbered", wire.Layout{
		LengthFieldLength: 2, ID: wire.IDField{Offset: 2, Size: 2},
		Asks: wire.Match{Any: true}, Answers: wire.Match{Any: true},
	})
	if err != nil {
		panic(err)
	}
	return f
}()

func numberedFrame(id uint16, text string) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(2+len(text)))
	b = binary.BigEndian.AppendUint16(b, id)
	return append(b, text...)
}

// shuffled answers each request after a time of its own.
func shuffled(most time.Duration) func(*visit) {
	return func(v *visit) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		defer wg.Wait()
		for {
			var length [2]byte
			if _, err := io.ReadFull(v.nc, length[:]); err != nil {
				return
			}
			body := make([]byte, binary.BigEndian.Uint16(length[:]))
			if _, err := io.ReadFull(v.nc, body); err != nil {
				return
			}
			v.mu.Lock()
			v.got = append(v.got, fmt.Sprint(binary.BigEndian.Uint16(body)))
			v.mu.Unlock()
			wg.Go(func() {
				time.Sleep(rand.N(most))
				mu.Lock()
				defer mu.Unlock()
				_, _ = v.nc.Write(slices.Concat(length[:], body))
			})
		}
	}
}

// numberedPeer keeps what it gets as it is.
type numberedPeer struct {
	peer
	frames [][]byte
}

func (p *numberedPeer) Frames(run []byte, n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range n {
		size := 2 + int(binary.BigEndian.Uint16(run))
		p.frames = append(p.frames, bytes.Clone(run[:size]))
		run = run[size:]
	}
	return false
}

// TestAnswersInAnyOrder: clients use the same ids, the backend answers as it likes, and each client gets its own answers under its own ids.
func TestAnswersInAnyOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = shuffled(50 * time.Millisecond)
		g := n.group(t, Config{Pooling: Request, MaxLinks: 1, Format: numbered, MaxInflight: 64})
		synctest.Wait()
		const asks = 40
		var peers []*numberedPeer
		for range 20 {
			p := &numberedPeer{peer: peer{t: t}}
			p.lease = g.Lease(p, Client{})
			peers = append(peers, p)
		}
		for i := range asks {
			for c, p := range peers {
				p.lease.Send(numberedFrame(uint16(i), fmt.Sprintf("%d of %d", i, c)), 1, 1)
			}
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		for c, p := range peers {
			want := make([][]byte, asks)
			for i := range want {
				want[i] = numberedFrame(uint16(i), fmt.Sprintf("%d of %d", i, c))
			}
			slices.SortFunc(p.frames, bytes.Compare)
			slices.SortFunc(want, bytes.Compare)
			if !slices.EqualFunc(p.frames, want, bytes.Equal) {
				t.Errorf("client %d got %q, not %q (%v)", c, p.frames, want, p.lost)
			}
			if left := p.lease.Unanswered(); left != 0 {
				t.Errorf("client %d: %d unanswered", c, left)
			}
		}
		if v := n["a:1"].visited(); v != 1 {
			t.Errorf("%d links, not 1", v)
		}
	})
}

// TestIDsInFlightDiffer: however many clients ask under one id, on the link no two unanswered requests share one.
func TestIDsInFlightDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = shuffled(time.Minute)
		g := n.group(t, Config{Pooling: Request, MaxLinks: 1, Format: numbered, RequestTimeout: time.Hour})
		synctest.Wait()
		for range 100 {
			p := &numberedPeer{peer: peer{t: t}}
			p.lease = g.Lease(p, Client{})
			p.lease.Send(slices.Concat(numberedFrame(7, "a"), numberedFrame(7, "b")), 2, 2)
		}
		synctest.Wait()
		ids := n["a:1"].got()
		slices.Sort(ids)
		if all := len(ids); all != 200 || len(slices.Compact(ids)) != all {
			t.Errorf("%d requests, of which %d ids differ", all, len(slices.Compact(ids)))
		}
		time.Sleep(2 * time.Minute)
	})
}

// TestOneByteOfID: no more requests are in flight than there are ids, and those that wait are answered.
func TestOneByteOfID(t *testing.T) {
	format, err := wire.NewFormat("small", wire.Layout{
		LengthFieldLength: 2, ID: wire.IDField{Offset: 3, Size: 1}, Asks: wire.Match{Any: true}, Answers: wire.Match{Any: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = shuffled(10 * time.Millisecond)
		g := n.group(t, Config{Pooling: Request, MaxLinks: 1, Format: format, MaxInflight: 1000})
		synctest.Wait()
		var peers []*numberedPeer
		for i := range 600 {
			p := &numberedPeer{peer: peer{t: t}}
			p.lease = g.Lease(p, Client{})
			p.lease.Send(numberedFrame(uint16(i%256), "x"), 1, 1)
			peers = append(peers, p)
		}
		time.Sleep(4 * time.Second)
		synctest.Wait()
		for i, p := range peers {
			if len(p.frames) != 1 || !bytes.Equal(p.frames[0], numberedFrame(uint16(i%256), "x")) {
				t.Fatalf("client %d got %q, %v", i, p.frames, p.lost)
			}
		}
	})
}

// TestIDsWithMagicOfEachDirection: what clients send is read as theirs, where backends begin their frames with another magic.
func TestIDsWithMagicOfEachDirection(t *testing.T) {
	format, err := wire.NewFormat("directed", wire.Layout{
		Magic: []byte{0x80}, AnswerMagic: []byte{0x81}, LengthFieldOffset: 1, LengthFieldLength: 1, ID: wire.IDField{Offset: 2, Size: 1}, Header: 3,
		Asks: wire.Match{From: wire.FromClient}, Answers: wire.Match{From: wire.FromServer},
	})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = func(v *visit) {
			for b := make([]byte, 3); ; {
				if _, err := io.ReadFull(v.nc, b); err != nil {
					return
				}
				v.mu.Lock()
				v.got = append(v.got, fmt.Sprintf("%x", b))
				v.mu.Unlock()
				if _, err := v.nc.Write([]byte{0x81, 0, b[2]}); err != nil {
					return
				}
			}
		}
		g := n.group(t, Config{Pooling: Request, MaxLinks: 1, Format: format})
		synctest.Wait()
		for range 2 {
			p := &keeper{peer: peer{t: t}}
			p.lease = g.Lease(p, Client{})
			p.lease.Send([]byte{0x80, 0, 7, 0x80, 0, 8}, 2, 2)
			synctest.Wait()
			if want := []byte{0x81, 0, 7, 0x81, 0, 8}; !bytes.Equal(p.all, want) || p.lost != nil {
				t.Errorf("got %x, %v, want %x", p.all, p.lost, want)
			}
		}
		if got, want := n["a:1"].got(), []string{"800001", "800002", "800003", "800004"}; !slices.Equal(got, want) {
			t.Errorf("the backend got %q, want %q", got, want)
		}
	})
}

// keeper keeps all bytes it gets.
type keeper struct {
	peer
	all []byte
}

func (p *keeper) Frames(run []byte, _ int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, run...)
	return false
}
