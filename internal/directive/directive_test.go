package directive

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// settings has an option of each kind.
type settings struct {
	Word     string
	Words    []string
	Duration caddy.Duration
	Maybe    *caddy.Duration
	Size     int
	Int      int
	MaybeInt *int
	Number   uint32
	Numbers  []uint32
	Float    float64
	MaybeF   *float64
	Off      bool
	Pair     [2]int
	Inner    string
}

func (s *settings) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return Block(d, "thing", Options{
		"word":     One("a", String(&s.Word)),
		"words":    List("a b", Append(&s.Words)),
		"duration": One("5s", Duration(&s.Duration)),
		"maybe":    One("5s", OptionalDuration(&s.Maybe)),
		"size":     One("1KiB", Size(&s.Size)),
		"int":      One("3", Int(&s.Int)),
		"maybeint": One("3", OptionalInt(&s.MaybeInt)),
		"number":   One("0x10", Uint32(&s.Number)),
		"numbers":  List("1 2", AppendUint32(&s.Numbers)),
		"float":    One("1.5", Float(&s.Float)),
		"maybef":   One("1.5", OptionalFloat(&s.MaybeF)),
		"pair":     Off(&s.Off, Args("1 2", 1, Int(&s.Pair[0]), Int(&s.Pair[1]))),
		"nested":   Nested("nested", Options{"inner": One("x", String(&s.Inner))}),
	})
}

// show writes the settings without pointers.
func (s settings) show() string {
	out := fmt.Sprint(s.Word, s.Words, time.Duration(s.Duration), s.Size, s.Int, s.Number, s.Numbers, s.Float, s.Off, s.Pair, s.Inner)
	if s.Maybe != nil {
		out += fmt.Sprint(" maybe ", time.Duration(*s.Maybe))
	}
	if s.MaybeInt != nil {
		out += fmt.Sprint(" maybeint ", *s.MaybeInt)
	}
	if s.MaybeF != nil {
		out += fmt.Sprint(" maybef ", *s.MaybeF)
	}
	return out
}

func TestOptions(t *testing.T) {
	five, zero := caddy.Duration(5*time.Second), caddy.Duration(0)
	none, three, half := 0, 3, 0.5
	tests := []struct {
		in   string
		want settings
	}{
		{"", settings{}},
		{"word x", settings{Word: "x"}},
		{`word "two words"`, settings{Word: "two words"}},
		{"words a", settings{Words: []string{"a"}}},
		{"words a b c", settings{Words: []string{"a", "b", "c"}}},
		{"duration 1h30m", settings{Duration: caddy.Duration(90 * time.Minute)}},
		{"duration 2d", settings{Duration: caddy.Duration(48 * time.Hour)}},
		{"duration 0", settings{}},
		{"maybe 5s", settings{Maybe: &five}},
		{"maybe 0", settings{Maybe: &zero}},
		{"size 65535", settings{Size: 65535}},
		{"size 16KiB", settings{Size: 16384}},
		{"size 1MB", settings{Size: 1000000}},
		{"int 0", settings{}},
		{"int 12", settings{Int: 12}},
		{"maybeint 0", settings{MaybeInt: &none}},
		{"maybeint 3", settings{MaybeInt: &three}},
		{"number 16", settings{Number: 16}},
		{"number 0x10", settings{Number: 16}},
		{"number 0XfF", settings{Number: 255}},
		{"number 010", settings{Number: 10}},
		{"numbers 1 0x2", settings{Numbers: []uint32{1, 2}}},
		{"float 1.5", settings{Float: 1.5}},
		{"maybef 0.5", settings{MaybeF: &half}},
		{"pair 1", settings{Pair: [2]int{1, 0}}},
		{"pair 1 2", settings{Pair: [2]int{1, 2}}},
		{"pair off", settings{Off: true}},
		{"nested", settings{}},
		{"nested {\n}", settings{}},
		{"nested {\ninner x\n}\nword y", settings{Inner: "x", Word: "y"}},
		{"pair off\nword y", settings{Off: true, Word: "y"}},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			var s settings
			if err := s.UnmarshalCaddyfile(caddyfile.NewTestDispenser("thing {\n" + tt.in + "\n}")); err != nil {
				t.Fatal(err)
			}
			if got, want := s.show(), tt.want.show(); got != want {
				t.Errorf("got %s\nwant %s", got, want)
			}
		})
	}
}

func TestMistakes(t *testing.T) {
	const all = "duration, float, int, maybe, maybef, maybeint, nested, number, numbers, pair, size, word, words"
	tests := []struct{ in, want string }{
		{"wrod x", `thing has no option "wrod"; it has ` + all},
		{"word x\nword y", "thing word is given twice: once is enough"},
		{"word", "word has 0 arguments: write it as `word a`"},
		{"word x y", "word has 2 arguments: write it as `word a`"},
		{"word x {\n}", ""},
		{"word x {\ny\n}", "word takes no block: write it as `word a`"},
		{"words", "words has 0 arguments: write it as `words a b`"},
		{"duration 5", "duration: \"5\" is no duration: write it as `duration 5s`"},
		{"duration soon", "duration: \"soon\" is no duration: write it as `duration 5s`"},
		{"duration -5s", "duration: \"-5s\" is negative: write it as `duration 5s`"},
		{"maybe -1ns", "maybe: \"-1ns\" is negative: write it as `maybe 5s`"},
		{"size big", "size: \"big\" is no size: write it as `size 1KiB`"},
		{"size -1", "size: \"-1\" is no size: write it as `size 1KiB`"},
		{"size 16EiB", "size: \"16EiB\" is no size: write it as `size 1KiB`"},
		{"int 1.5", "int: \"1.5\" is no whole number: write it as `int 3`"},
		{"int -3", "int: \"-3\" is negative: write it as `int 3`"},
		{"maybeint -3", "maybeint: \"-3\" is negative: write it as `maybeint 3`"},
		{"number -1", "number: \"-1\" is no number such as 16 or 0x10: write it as `number 0x10`"},
		{"number 0x", "number: \"0x\" is no number such as 16 or 0x10: write it as `number 0x10`"},
		{"number 1_000", "number: \"1_000\" is no number such as 16 or 0x10: write it as `number 0x10`"},
		{"number 0b1", "number: \"0b1\" is no number such as 16 or 0x10: write it as `number 0x10`"},
		{"number 4294967296", "number: \"4294967296\" is no number such as 16 or 0x10: write it as `number 0x10`"},
		{"numbers 1 x", "numbers: \"x\" is no number such as 16 or 0x10: write it as `numbers 1 2`"},
		{"float half", "float: \"half\" is no number: write it as `float 1.5`"},
		{"float NaN", "float: \"NaN\" is no number: write it as `float 1.5`"},
		{"float Inf", "float: \"Inf\" is no number: write it as `float 1.5`"},
		{"float -0.5", "float: \"-0.5\" is negative: write it as `float 1.5`"},
		{"pair", "pair has 0 arguments: write it as `pair 1 2`"},
		{"pair 1 2 3", "pair has 3 arguments: write it as `pair 1 2`"},
		{"pair on", "pair: \"on\" is no whole number: write it as `pair 1 2`"},
		{"pair off off", "pair: \"off\" is no whole number: write it as `pair 1 2`"},
		{"pair off {\nx\n}", "`off` takes no block"},
		{"nested x", "nested takes a block, not \"x\": write `nested { … }`"},
		{"nested {\nouter x\n}", "nested has no option \"outer\"; it has inner"},
		{"nested {\ninner\n}", "inner has 0 arguments: write it as `inner x`"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			var s settings
			err := s.UnmarshalCaddyfile(caddyfile.NewTestDispenser("thing {\n" + tt.in + "\n}"))
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil {
				t.Fatalf("no error, want %s", tt.want)
			}
			// Whatever the mistake, its place is named: the line of the option, or of what is nested in it.
			for _, place := range []string{"2", "3"} {
				if err.Error() == tt.want+", at Testfile:"+place {
					return
				}
			}
			t.Errorf("got %v\nwant %s, at Testfile:2 or 3", err, tt.want)
		})
	}
}

func TestAt(t *testing.T) {
	d := caddyfile.NewTestDispenser("\n\nthing {\nword x\n}")
	var s settings
	if err := s.UnmarshalCaddyfile(d); err != nil {
		t.Fatal(err)
	}
	if err := At(d, nil); err != nil {
		t.Errorf("no mistake became %v", err)
	}
	if err := At(d, fmt.Errorf("no sense in it")); err == nil || err.Error() != "no sense in it, at Testfile:3" {
		t.Errorf("got %v", err)
	}
}
