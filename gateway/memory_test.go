package gateway

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// weighted is a connection that holds so much.
type weighted struct {
	Conn
	name  string
	id    ConnID
	held  int
	heard time.Time
	ended *[]string
}

func (w *weighted) ID() ConnID               { return w.id }
func (w *weighted) Weight() (int, time.Time) { return w.held, w.heard }
func (*weighted) Renew()                     {}
func (*weighted) Leave()                     {}

func (w *weighted) End(reason string) { *w.ended = append(*w.ended, w.name+" "+reason) }

// TestRelieve: who goes first when memory is short, and that no more go than must.
func TestRelieve(t *testing.T) {
	l := AcquireLive(t.Name())
	defer ReleaseLive(l)
	now := time.Now()
	var ended []string
	for _, c := range []weighted{
		{name: "busy and heavy", held: 10 << 20, heard: now.Add(-time.Millisecond)},
		{name: "silent for a minute", heard: now.Add(-time.Minute)},
		{name: "busy", held: 5, heard: now},
		{name: "silent for two", held: 100, heard: now.Add(-2 * time.Minute)},
		{name: "does not read", held: 1 << 20, heard: now.Add(-2 * time.Second)},
		{name: "reads less", held: 4 << 20, heard: now.Add(-5 * time.Second)},
		{name: "never spoke"},
	} {
		c.id, c.ended = NewConnID(), &ended
		l.Add(&c)
		defer l.Remove(&c)
	}
	want := []string{"reads less", "does not read", "never spoke", "silent for two", "silent for a minute", "busy and heavy", "busy"}
	for i := range want {
		want[i] += " " + RefusedMemory
	}
	const ceiling = 100 << 20
	for _, tt := range []struct {
		over int // above nine tenths
		want []string
	}{
		{-1, nil},
		{1, want[:1]},
		{4<<20 + plainCost + 1, want[:2]},
		{5<<20 + 3*plainCost, want[:3]},
		{15<<20 + 10*plainCost, want},
	} {
		var m account
		m.ceiling.Store(ceiling)
		m.fixed.Store(int64(ceiling/10*9+tt.over) - m.used()) // tests of other connections may hold something
		ended = nil
		m.relieve(now)
		if !slices.Equal(ended, tt.want) {
			t.Errorf("%d over: ended are %q, want %q", tt.over, ended, tt.want)
		}
	}
}

// TestMemoryRefuses: at the ceiling nobody is let in, and below it everybody.
func TestMemoryRefuses(t *testing.T) {
	l := AcquireLive(t.Name())
	defer ReleaseLive(l)
	app := &App{Ceiling: Ceiling{Memory: minMemory}}
	app.enforce()
	before := memory.fixed.Load()
	var passes []*Pass
	for {
		p, refused := l.Enter(&Rules{PerAddress: 1 << 20}, from("192.0.2.1"), time.Now())
		if p == nil {
			if refused != RefusedMemory {
				t.Errorf("refused for %s, want %s", refused, RefusedMemory)
			}
			break
		}
		p.Encrypted()
		passes = append(passes, p)
	}
	if n := len(passes); n < minMemory/tlsCost-1 || n > minMemory/tlsCost+1 {
		t.Errorf("%d were let in, want %d", n, minMemory/tlsCost)
	}
	if n := l.door.inside[*passes[0].addr]; n != len(passes) {
		t.Errorf("%d are counted inside, want %d", n, len(passes))
	}
	passes[0].Dismiss("eof")
	p, refused := l.Enter(&Rules{}, from("192.0.2.1"), time.Now())
	if p == nil {
		t.Fatalf("refused for %s when one has gone", refused)
	}
	app.relent()
	if memory.short() {
		t.Error("the ceiling holds when nobody asks for it")
	}
	for _, p := range append(passes[1:], p) {
		p.Dismiss("eof")
	}
	if got := memory.fixed.Load(); got != before {
		t.Errorf("%d bytes are counted for nobody", got-before)
	}
}

// TestCeilingOfTheNewest: in a reload two configurations run for a moment; the newest that stays has its ceiling hold.
func TestCeilingOfTheNewest(t *testing.T) {
	old, rejected, none := &App{Ceiling: Ceiling{Memory: 1 << 30}}, &App{Ceiling: Ceiling{Memory: 2 << 30}}, &App{}
	want := func(n int) {
		t.Helper()
		if got := memory.ceiling.Load(); got != int64(n) {
			t.Errorf("the ceiling is %d, want %d", got, n)
		}
	}
	old.enforce()
	want(1 << 30)
	rejected.enforce()
	want(2 << 30)
	rejected.relent()
	want(1 << 30)
	none.enforce()
	old.relent()
	want(0)
	none.relent()
	want(0)
}

func TestMemoryOption(t *testing.T) {
	for in, want := range map[string]string{
		"gopr {\nmemory 1MiB\n}":                  "memory 1048576 is too little to serve with: give 16MiB or more, such as 512MiB, or leave the option out for no ceiling, at Testfile:2",
		"gopr {\nmemory much\n}":                  "memory: \"much\" is no size: write it as `memory 512MiB`, at Testfile:2",
		"gopr {\nmemory 512MiB\nmemory 512MiB\n}": "memory is given twice: once is enough, at Testfile:3",
	} {
		err := new(App).UnmarshalCaddyfile(caddyfile.NewTestDispenser(in))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", in, err, want)
		}
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(caddyfile.NewTestDispenser("gopr {\nmemory 512MiB\n}")); err != nil || app.Memory != 512<<20 {
		t.Errorf("memory is %d, %v", app.Memory, err)
	}
}
