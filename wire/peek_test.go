package wire

import "testing"

// TestPeek: of what a decoder has passed, Peek says the same.
func TestPeek(t *testing.T) {
	for _, f := range BuiltIn() {
		t.Run(f.Name(), func(t *testing.T) {
			dec, err := f.NewDecoder(Rules{})
			if err != nil {
				t.Fatal(err)
			}
			var stream []byte
			for i := range 5 {
				b, err := f.Append(stream, version(f), uint32(0x10+i), uint32(i&1), make([]byte, 3*i))
				if err != nil {
					t.Skip(err) // a format in which cmd or flag is not free
				}
				stream = b
			}
			for len(stream) > 0 {
				var want Frame
				n, err := dec.Next(stream, &want)
				if err != nil || n == 0 {
					t.Fatal(n, err)
				}
				size, cmd, flag := f.Peek(stream)
				if size != n || cmd != want.Cmd || flag != want.Flag {
					t.Errorf("size %d cmd %#x flag %#x, want %d, %#x, %#x", size, cmd, flag, n, want.Cmd, want.Flag)
				}
				stream = stream[n:]
			}
		})
	}
}

func version(f *Format) uint32 {
	if v := f.Layout().Versions; len(v) > 0 {
		return v[0]
	}
	return 0
}

func TestPeekShort(t *testing.T) {
	b := AppendFrame(nil, 0x10, FlagReq, []byte("payload"))
	for n := range HeaderLen {
		if size, _, _ := GOPR.Peek(b[:n]); size != 0 {
			t.Errorf("of %d bytes: %d, want 0", n, size)
		}
	}
	if size, cmd, flag := GOPR.Peek(b[:HeaderLen]); size != len(b) || cmd != 0x10 || flag != uint32(FlagReq) {
		t.Errorf("of the header alone: %d, %#x, %#x", size, cmd, flag)
	}
	if n := testing.AllocsPerRun(100, func() { GOPR.Peek(b) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
