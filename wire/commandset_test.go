package wire

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestCommandSet(t *testing.T) {
	tests := []struct {
		name   string
		ranges []CommandRange
		in     []uint32
		out    []uint32
		text   string
	}{
		{
			"empty", nil,
			nil,
			[]uint32{0, 1, 255, 256, math.MaxUint32},
			"none",
		},
		{
			"one command",
			[]CommandRange{{1, 1}},
			[]uint32{1},
			[]uint32{0, 2, 65, 257},
			"0x01",
		},
		{
			"the ends of the words",
			[]CommandRange{{63, 64}, {127, 128}, {255, 255}},
			[]uint32{63, 64, 127, 128, 255},
			[]uint32{62, 65, 126, 129, 254, 256},
			"0x3F-0x40 0x7F-0x80 0xFF",
		},
		{
			"the usual one",
			[]CommandRange{{0x10, 0xFF}, {1, 1}},
			[]uint32{1, 0x10, 0x80, 0xFF},
			[]uint32{0, 2, 0xF, 0x100},
			"0x01 0x10-0xFF",
		},
		{
			"across 256",
			[]CommandRange{{250, 300}},
			[]uint32{250, 255, 256, 300},
			[]uint32{249, 301},
			"0xFA-0x12C",
		},
		{
			"high, not in order, overlapping, touching, apart",
			[]CommandRange{{0x2000, 0x2FFF}, {0x1000, 0x1FFF}, {0x2800, 0x3000}, {0x3002, 0x3002}, {0x1100, 0x1200}},
			[]uint32{0x1000, 0x1FFF, 0x2000, 0x2FFF, 0x3000, 0x3002},
			[]uint32{0xFFF, 0x3001, 0x3003, 0},
			"0x1000-0x3000 0x3002",
		},
		{
			"everything",
			[]CommandRange{{0, math.MaxUint32}, {5, 5}, {math.MaxUint32, math.MaxUint32}},
			[]uint32{0, 255, 256, math.MaxUint32},
			nil,
			"0x00-0xFFFFFFFF",
		},
		{
			"backwards",
			[]CommandRange{{9, 8}, {300, 200}, {400, 300}, {300, 9}},
			nil,
			[]uint32{0, 8, 9, 200, 250, 300, 350, 400},
			"none",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := NewCommandSet(tt.ranges...)
			for _, cmd := range tt.in {
				if !s.Contains(cmd) {
					t.Errorf("%#x is missing", cmd)
				}
			}
			for _, cmd := range tt.out {
				if s.Contains(cmd) {
					t.Errorf("%#x is in it", cmd)
				}
			}
			if got := s.String(); got != tt.text {
				t.Errorf("String() = %q, want %q", got, tt.text)
			}
			if again := NewCommandSet(s.Ranges()...); again.String() != tt.text {
				t.Errorf("made again from its ranges: %q", again)
			}
		})
	}
}

func TestCommandSetNilIsAll(t *testing.T) {
	var s *CommandSet
	for _, cmd := range []uint32{0, 255, 256, math.MaxUint32} {
		if !s.Contains(cmd) {
			t.Errorf("the nil set has no %#x", cmd)
		}
	}
	if s.String() != "all" || !slices.Equal(s.Ranges(), []CommandRange{{0, math.MaxUint32}}) {
		t.Errorf("the nil set is %q, %v", s, s.Ranges())
	}
}

func TestCommandSetAdd(t *testing.T) {
	var s CommandSet // the zero value is ready
	for _, step := range []struct {
		add  CommandRange
		want string
	}{
		{CommandRange{0x10, 0x1F}, "0x10-0x1F"},
		{CommandRange{CmdPing, CmdPing}, "0x01 0x10-0x1F"},
		{CommandRange{0x300, 0x3FF}, "0x01 0x10-0x1F 0x300-0x3FF"},
		{CommandRange{0x100, 0x100}, "0x01 0x10-0x1F 0x100 0x300-0x3FF"},
		{CommandRange{0x101, 0x2FF}, "0x01 0x10-0x1F 0x100-0x3FF"},
		{CommandRange{0x12, 0x13}, "0x01 0x10-0x1F 0x100-0x3FF"},
		{CommandRange{0x20, 0xFF}, "0x01 0x10-0x3FF"},
	} {
		s.Add(step.add)
		if got := s.String(); got != step.want {
			t.Errorf("with %v: %q, want %q", step.add, got, step.want)
		}
	}
}

// The caller's slice is the caller's.
func TestCommandSetKeepsNoArguments(t *testing.T) {
	ranges := []CommandRange{{0x3000, 0x3FFF}, {0x1000, 0x1FFF}, {0x1800, 0x2000}}
	want := slices.Clone(ranges)
	s := NewCommandSet(ranges...)
	if !slices.Equal(ranges, want) {
		t.Errorf("the arguments became %v", ranges)
	}
	clear(ranges)
	if got := s.String(); got != "0x1000-0x2000 0x3000-0x3FFF" {
		t.Errorf("the set became %q", got)
	}
}

// Against a map, on random ranges around the border between bits and ranges.
func TestCommandSetRandom(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var s CommandSet
		model := map[uint32]bool{}
		for range 1 + rnd.IntN(12) {
			r := CommandRange{First: 200 + rnd.Uint32N(200)}
			r.Last = r.First + rnd.Uint32N(20)
			s.Add(r)
			for cmd := r.First; cmd <= r.Last; cmd++ {
				model[cmd] = true
			}
		}
		for cmd := uint32(190); cmd < 430; cmd++ {
			if s.Contains(cmd) != model[cmd] {
				t.Fatalf("%v: Contains(%#x) = %t", &s, cmd, s.Contains(cmd))
			}
		}
		ranges := s.Ranges()
		for i := 1; i < len(ranges); i++ {
			if ranges[i].First <= ranges[i-1].Last+1 {
				t.Fatalf("not the fewest ranges: %v", ranges)
			}
		}
	}
}

func TestCommandSetClone(t *testing.T) {
	s := NewCommandSet(CommandRange{1, 1}, CommandRange{0x1000, 0x1FFF}, CommandRange{0x3000, 0x3FFF})
	c := s.clone()
	s.Add(CommandRange{2, 2}, CommandRange{0x2000, 0x2FFF})
	if got := c.String(); got != "0x01 0x1000-0x1FFF 0x3000-0x3FFF" {
		t.Errorf("an Add to the original made the clone %q", got)
	}
	c.Add(CommandRange{0, math.MaxUint32})
	if got := s.String(); got != "0x01-0x02 0x1000-0x3FFF" {
		t.Errorf("an Add to the clone made the original %q", got)
	}
}
