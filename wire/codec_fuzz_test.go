package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/netip"
	"reflect"
	"testing"
)

// Whatever bytes come, Fixed and encoding/binary read the same value from them and make the same bytes of it.
func FuzzFixed(f *testing.F) {
	f.Add([]byte(everythingBig), false)
	f.Add([]byte(everythingLittle), true)
	f.Add([]byte(everythingBig[1:]), false)
	f.Add(bytes.Repeat([]byte{0xFF}, 84), true)

	codecs := map[bool]*Fixed[everything]{false: MustFixed[everything](BigEndian), true: MustFixed[everything](LittleEndian)}
	orders := map[bool]binary.ByteOrder{false: binary.BigEndian, true: binary.LittleEndian}
	f.Fuzz(func(t *testing.T, payload []byte, little bool) {
		var got, want everything
		n, wantErr := binary.Decode(payload, orders[little], &want)
		err := codecs[little].Unmarshal(payload, &got)
		if (err == nil) != (wantErr == nil && n == len(payload)) {
			t.Fatalf("error %v, encoding/binary: %d bytes, %v", err, n, wantErr)
		}
		if err != nil {
			return
		}
		back, err := codecs[little].MarshalAppend(nil, got)
		if err != nil {
			t.Fatal(err)
		}
		// A signalling NaN of four bytes becomes a quiet one in reflection's hands, and not in ours.
		quiet(&got)
		quiet(&want)
		a, errA := binary.Append(nil, orders[little], got)
		b, errB := binary.Append(nil, orders[little], want)
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Fatalf("got %+v, want %+v (%v, %v)", got, want, errA, errB)
		}

		// All comes back but what a bool or padding may have been.
		payload = bytes.Clone(payload)
		if payload[0] != 0 {
			payload[0] = 1
		}
		clear(payload[70:72])
		if !bytes.Equal(back, payload) {
			t.Errorf("back % X, want % X", back, payload)
		}
	})
}

func quiet(v *everything) {
	quieted := func(x float32) float32 {
		if math.IsNaN(float64(x)) {
			return float32(math.NaN())
		}
		return x
	}
	v.F32 = quieted(v.F32)
	v.C64 = complex(quieted(real(v.C64)), quieted(imag(v.C64)))
}

// What JSON reads, it writes, and reads again as the same; it reads what encoding/json reads.
func FuzzJSON(f *testing.F) {
	for _, payload := range []string{`{"a":[null,true,"x",1.5],"id":9007199254740993}`, `null`, `{} {}`, `{"a":"<\n\u2028"}`, ` {}`, `1e999`, ``, "{}\x00"} {
		f.Add([]byte(payload), true)
		f.Add([]byte(payload), false)
	}
	f.Fuzz(func(t *testing.T, payload []byte, number bool) {
		c := JSON[map[string]any]{UseNumber: number}
		got := map[string]any{"dirty": true}
		err := c.Unmarshal(payload, &got)
		if !number {
			var want map[string]any
			if wantErr := json.Unmarshal(payload, &want); (err == nil) != (wantErr == nil) || err == nil && !reflect.DeepEqual(got, want) {
				t.Fatalf("got %v, %v, want %v, %v", got, err, want, wantErr)
			}
		}
		if err != nil {
			return
		}
		once, err := c.MarshalAppend([]byte("before"), got)
		if err != nil || !bytes.HasPrefix(once, []byte("before")) || bytes.HasSuffix(once, []byte("\n")) {
			t.Fatalf("%q becomes %v, which becomes %q, %v", payload, got, once, err)
		}
		var again map[string]any
		if err := c.Unmarshal(once[len("before"):], &again); err != nil || !reflect.DeepEqual(again, got) {
			t.Fatalf("%q becomes %v, %v, want %v", once, again, err, got)
		}
	})
}

// A payload that Binary reads is the one that it writes, so nothing of it was passed over.
func FuzzBinary(f *testing.F) {
	f.Add([]byte("\xC0\x00\x02\x01\x1A\x1D"))
	f.Add([]byte("\xC0\x00\x02\x01\x1A\x1D\x00"))
	f.Add([]byte("\x00\x00"))
	c := Binary[netip.AddrPort]()
	f.Fuzz(func(t *testing.T, payload []byte) {
		var v netip.AddrPort
		if c.Unmarshal(payload, &v) != nil {
			return
		}
		got, err := c.MarshalAppend(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		var again netip.AddrPort
		if err := c.Unmarshal(got, &again); err != nil || again != v {
			t.Errorf("%v becomes %v, %v", v, again, err)
		}
		if !bytes.Equal(got, payload) && v.IsValid() {
			t.Errorf("% X becomes %v, which becomes % X", payload, v, got)
		}
	})
}
