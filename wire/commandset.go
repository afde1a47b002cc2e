package wire

import (
	"cmp"
	"slices"
	"strings"
)

// CommandSet is a set of commands: the allow-list of [Rules]. The nil set is
// all commands, the zero set none. It may be read by many goroutines at once,
// but not while one adds to it.
type CommandSet struct {
	low  lowCommands
	high []CommandRange // of the commands from 256 up: sorted, apart from each other
}

// lowCommands has a bit for each command from 0 to 255, which is all that a
// one-byte field can say.
type lowCommands [4]uint64

func (l *lowCommands) add(cmd uint8)           { l[cmd>>6] |= 1 << (cmd & 63) }
func (l *lowCommands) contains(cmd uint8) bool { return l[cmd>>6]>>(cmd&63)&1 != 0 }

// lowEnd is the first command that is not in lowCommands.
const lowEnd = 256

// NewCommandSet is the set of the commands in ranges.
func NewCommandSet(ranges ...CommandRange) *CommandSet {
	s := new(CommandSet)
	s.Add(ranges...)
	return s
}

// Add puts the commands of ranges into the set. A range that runs backwards
// has no commands.
func (s *CommandSet) Add(ranges ...CommandRange) {
	for _, r := range ranges {
		for cmd := r.First; cmd < lowEnd && cmd <= r.Last; cmd++ {
			s.low.add(uint8(cmd))
		}
		if r.First = max(r.First, lowEnd); r.First <= r.Last {
			s.high = append(s.high, r)
		}
	}
	s.high = merge(s.high)
}

// Contains reports whether cmd is in the set. The nil set has every command.
func (s *CommandSet) Contains(cmd uint32) bool {
	switch {
	case s == nil:
		return true
	case cmd < lowEnd:
		return s.low.contains(uint8(cmd))
	}
	_, found := slices.BinarySearchFunc(s.high, cmd, func(r CommandRange, cmd uint32) int {
		switch {
		case r.Last < cmd:
			return -1
		case r.First > cmd:
			return 1
		}
		return 0
	})
	return found
}

// Ranges is the set as the fewest ranges, in ascending order. For the nil set
// it is the one range of all commands.
func (s *CommandSet) Ranges() []CommandRange {
	if s == nil {
		return []CommandRange{{0, ^uint32(0)}}
	}
	var ranges []CommandRange
	for cmd := range uint32(lowEnd) {
		if s.low.contains(uint8(cmd)) {
			ranges = append(ranges, CommandRange{cmd, cmd})
		}
	}
	return merge(append(ranges, s.high...))
}

// String is the set as the Caddyfile writes it: "0x01 0x10-0xFF". The nil set
// is "all", the empty set "none".
func (s *CommandSet) String() string {
	if s == nil {
		return "all"
	}
	ranges := s.Ranges()
	if len(ranges) == 0 {
		return "none"
	}
	words := make([]string, len(ranges))
	for i, r := range ranges {
		words[i] = r.String()
	}
	return strings.Join(words, " ")
}

// clone is an own copy, so that an Add to s later changes nothing.
func (s *CommandSet) clone() *CommandSet {
	return &CommandSet{low: s.low, high: slices.Clone(s.high)}
}

// merge sorts ranges and joins those that overlap or touch. It reuses ranges.
func merge(ranges []CommandRange) []CommandRange {
	slices.SortFunc(ranges, func(a, b CommandRange) int { return cmp.Compare(a.First, b.First) })
	merged := ranges[:0]
	for _, r := range ranges {
		// In 64 bits, as a Last of all ones has no next command in 32.
		if n := len(merged); n > 0 && uint64(r.First) <= uint64(merged[n-1].Last)+1 {
			merged[n-1].Last = max(merged[n-1].Last, r.Last)
			continue
		}
		merged = append(merged, r)
	}
	return merged
}
