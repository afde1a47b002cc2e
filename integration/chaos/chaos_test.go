package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "backend" { // a process of a scenario
		if err := runBackend(context.Background(), os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// TestCheck: the checker finds what there is to find.
func TestCheck(t *testing.T) {
	acked := func(all ...bool) func(int) bool { return func(i int) bool { return all[i] } }
	tests := []struct {
		name string
		a    account
		want tally
	}{
		{
			"all is well",
			account{sent: []uint8{1, 2}, acked: acked(true, true), arrived: []arrival{{1, 1}, {2, 2}}},
			tally{Sent: 2, Acknowledged: 2, Arrived: 2},
		},
		{
			"acknowledged, and lost",
			account{sent: []uint8{1, 2}, acked: acked(true, true), arrived: []arrival{{2, 2}}},
			tally{Sent: 2, Acknowledged: 2, Arrived: 1, Lost: 1},
		},
		{
			"not acknowledged, and not there",
			account{sent: []uint8{1, 1}, acked: acked(true, false), arrived: []arrival{{1, 1}}},
			tally{Sent: 2, Acknowledged: 1, Arrived: 1, Open: 1},
		},
		{
			"doubled",
			account{sent: []uint8{1, 2, 2}, acked: acked(true, true, true), arrived: []arrival{{1, 1}, {1, 1}, {2, 2}, {3, 2}, {2, 2}, {2, 2}}},
			tally{Sent: 3, Acknowledged: 3, Arrived: 6, Doubled1: 1, Doubled2: 2},
		},
		{
			"out of order, and back again is only doubled",
			account{sent: []uint8{1, 1, 1}, acked: acked(true, true, true), arrived: []arrival{{1, 1}, {3, 1}, {2, 1}, {3, 1}}},
			tally{Sent: 3, Acknowledged: 3, Arrived: 4, Doubled1: 1, Disordered: 1},
		},
		{
			"never sent",
			account{sent: []uint8{1}, acked: acked(true), arrived: []arrival{{1, 1}, {2, 1}, {1, 2}, {0, 1}}},
			tally{Sent: 1, Acknowledged: 1, Arrived: 4, Unknown: 3},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var v verdict
			if got := v.check(tt.a); got != tt.want {
				t.Errorf("the tally is %+v, want %+v", got, tt.want)
			}
		})
	}
}

// TestRecovery: the time until 99.9 % are acknowledged within a second.
func TestRecovery(t *testing.T) {
	start := time.Unix(1000, 0)
	l := &ledger{}
	for i := range 1000 { // one each 10 ms; those of the first second take two
		at := start.Add(time.Duration(i) * 10 * time.Millisecond)
		took := 5 * time.Millisecond
		if i < 100 {
			took = 2 * time.Second
		}
		m := l.publish(1, at)
		l.ack(m.number, at.Add(took))
	}
	after, ok := recovery([]*ledger{l}, start, start.Add(10*time.Second))
	if !ok || after < 900*time.Millisecond || after > time.Second {
		t.Errorf("recovered after %v (%v), want about 1 s", after, ok)
	}
	if _, ok := recovery([]*ledger{l}, start, start.Add(500*time.Millisecond)); ok {
		t.Error("recovered, though nothing was acknowledged in time")
	}
}

// TestJournal: what one process has written another one knows; what was half written when it was killed is as if it had not been.
func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	one, err := openJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	defer one.f.Close()
	key := sessionKey{device: 7, session: [16]byte{1, 2, 3}}
	put := func(j *journal, r record) {
		t.Helper()
		r.key = key
		if err := j.update(key, func(*sessionState) ([]record, error) { return []record{r}, nil }); err != nil {
			t.Fatal(err)
		}
	}
	put(one, record{kind: recordLink, link: 1})
	put(one, record{kind: recordMessage, id: 5, message: message{device: 7, qos: 2, number: 9}, at: 1234})
	put(one, record{kind: recordMessage, id: 6, message: message{device: 7, qos: 1, number: 10}})
	if _, err := one.f.Write([]byte("half a record")); err != nil {
		t.Fatal(err)
	}

	two, err := openJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	defer two.f.Close()
	put(two, record{kind: recordReceived, id: 5})
	put(two, record{kind: recordCompleted, id: 6})
	for name, j := range map[string]*journal{"who wrote first": one, "who wrote last": two} {
		err := j.update(key, func(s *sessionState) ([]record, error) {
			if s.link != 1 || s.last != 6 || len(s.messages) != 1 {
				t.Errorf("%s knows %+v", name, s)
			} else if m := s.messages[0]; m.kind != recordReceived || m.id != 5 || m.message != (message{device: 7, qos: 2, number: 9}) || m.at != 1234 {
				t.Errorf("%s knows %+v", name, m)
			}
			return nil, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestFrames: what is put is what comes.
func TestFrames(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	sent := []frame{
		{cmd: cmdApp, payload: []byte("plain")},
		{cmd: cmdApp, flag: flagReq, qos: 1, id: 7, payload: []byte("one")},
		{cmd: cmdApp, qos: 2, dup: true, id: 1<<32 - 1, payload: nil},
		{cmd: cmdHello, payload: hello{caps: 5, expiry: 60, client: []byte("device-000001"), token: make([]byte, 16), credential: []byte("secret")}.append(nil)},
		{cmd: cmdWelcome, payload: welcome{resumed: true, caps: 5, heartbeat: 30, idle: 45, expiry: 60, window: 64, last: 9, token: make([]byte, 16)}.append(nil)},
	}
	go func() {
		s := newStream(here, false)
		for _, f := range sent {
			s.put(f)
		}
		s.putAck(cmdPubRec, 9)
		_ = s.flush()
	}()
	s := newStream(there, false)
	for i, want := range sent {
		f, err := s.next(time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if f.cmd != want.cmd || f.flag != want.flag || f.qos != want.qos || f.dup != want.dup || f.id != want.id || !bytes.Equal(f.payload, want.payload) {
			t.Errorf("frame %d is %+v, want %+v", i, f, want)
		}
	}
	f, err := s.next(time.Second)
	if err != nil || f.cmd != cmdPubRec || f.ackID() != 9 {
		t.Errorf("the acknowledgement is %+v, %v", f, err)
	}
	if h, err := parseHello(sent[3].payload); err != nil || h.caps != 5 || h.expiry != 60 || string(h.client) != "device-000001" || len(h.token) != 16 || string(h.credential) != "secret" {
		t.Errorf("HELLO is %+v, %v", h, err)
	}
	if w, err := parseWelcome(sent[4].payload); err != nil || !w.resumed || w.window != 64 || w.last != 9 || w.heartbeat != 30 || w.idle != 45 {
		t.Errorf("WELCOME is %+v, %v", w, err)
	}
}

// TestWithoutGateway: devices and an extended backend, with nothing but a bad network in between, keep what the protocol promises. So what is lost with a gateway in
// between is the gateway's doing.
func TestWithoutGateway(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "journal")
	// Two backends that share a journal, as two processes would.
	var journals []*journal
	for range 2 {
		j, err := openJournal(path)
		if err != nil {
			t.Fatal(err)
		}
		defer j.f.Close()
		journals = append(journals, j)
	}
	w := &world{ctx: ctx, end: cancel, log: t.Output(), rand: rand.New(rand.NewPCG(1, 2)), journals: []string{path}}
	w.live.Go(func() {
		o := &backendOptions{extended: true, answer: true, size: 64}
		for i := 0; ; i++ {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			w.live.Go(func() {
				defer nc.Close()
				defer context.AfterFunc(ctx, func() { _ = nc.Close() })()
				// Who is connected and does not get to its HELLO has a machine that is busy, or a network that stalls.
				if err := o.serve(nc, journals[i%2]); !isEnd(err) && !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error(err)
				}
			})
		}
	})
	p, err := w.spoil(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer w.close(false)
	defer l.Close()
	devices := w.make(10, own, extendedAnswering, to(p.addr))
	for i, d := range devices {
		d := d.(*ownDevice)
		d.token, d.retry = bytes.Repeat([]byte{byte(i + 1)}, 16), 2*time.Millisecond
	}
	w.run(devices)
	stop := publish(devices, time.Millisecond, qos12)
	for i := range 60 {
		time.Sleep(10 * time.Millisecond) // how long traffic flows between two cuts
		switch i % 4 {
		case 0:
			p.cut(w.rand, 0.7)
		case 1:
			p.resets(w.rand, 0.3)
		case 2:
			devices[i%len(devices)].leave(true)
		case 3:
			over := p.stall()
			time.Sleep(time.Millisecond)
			over()
		}
	}
	stop()
	v, took, err := w.settle(time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	var out outcome
	out.promises(v)
	t.Logf("settled after %v: %+v", took, v)
	if !out.ok() {
		t.Errorf("%+v\n%v", v, v.Notes)
	}
}
