package wire

import "testing"

// Values of fixed size, and payloads as they are, cost no allocation, whether the codec is known or behind the interface.
func TestCodecAllocs(t *testing.T) {
	fixed := MustFixed[everything](LittleEndian)
	behind := Codec[everything](fixed)
	dst := make([]byte, 0, 1024)
	payload, err := fixed.MarshalAppend(nil, everythingValue)
	if err != nil {
		t.Fatal(err)
	}
	var (
		v   everything
		raw = make([]byte, 0, 1024)
	)
	tests := []struct {
		name string
		run  func() bool // whether it did what it is measured for
	}{
		{"Fixed.MarshalAppend", func() bool {
			b, err := fixed.MarshalAppend(dst, everythingValue)
			return len(b) == len(payload) && err == nil
		}},
		{"Fixed.Unmarshal", func() bool { return fixed.Unmarshal(payload, &v) == nil && v == everythingValue }},
		{"Fixed.Unmarshal to the stack", func() bool {
			var v everything
			return fixed.Unmarshal(payload, &v) == nil && v == everythingValue
		}},
		{"Codec.MarshalAppend", func() bool {
			b, err := behind.MarshalAppend(dst, everythingValue)
			return len(b) == len(payload) && err == nil
		}},
		{"Codec.Unmarshal", func() bool { return behind.Unmarshal(payload, &v) == nil && v == everythingValue }},
		{"Bytes.MarshalAppend", func() bool {
			b, err := (Bytes{}).MarshalAppend(dst, payload)
			return len(b) == len(payload) && err == nil
		}},
		{"Bytes.Unmarshal", func() bool { return (Bytes{}).Unmarshal(payload, &raw) == nil && len(raw) == len(payload) }},
		{"String.MarshalAppend", func() bool { b, err := (String{}).MarshalAppend(dst, "text"); return len(b) == 4 && err == nil }},
		{"Empty", func() bool { return (Empty{}).Unmarshal(nil, nil) == nil }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !tt.run() {
				t.Fatal("did not do what is measured here")
			}
			if n := testing.AllocsPerRun(200, func() { tt.run() }); n != 0 {
				t.Errorf("%v allocations, want 0", n)
			}
		})
	}
}
