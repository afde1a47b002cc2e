package wire

import "testing"

// What an extended connection brings and takes with each message costs no allocation either.
func TestExtendedAllocs(t *testing.T) {
	d := newDecoder(t, GOPR, Rules{})
	payload := make([]byte, 4000)
	read := func(raw []byte) Frame {
		t.Helper()
		var f Frame
		if n, err := d.Next(raw, &f); n != len(raw) || err != nil {
			t.Fatal(n, err)
		}
		return f
	}
	publish, err := AppendExt(nil, CmdApp, &Ext{QoS: 2, ID: 7, CRC: true, Payload: payload})
	if err != nil {
		t.Fatal(err)
	}
	published, acked := read(publish), read(AppendAck(nil, CmdPubAck, 7))
	hello, err := AppendHello(nil, &Hello{ClientID: []byte("d"), Token: make([]byte, 16)})
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, 0, len(publish))
	for _, tt := range []struct {
		name string
		run  func() bool
	}{
		{"ParseExt", func() bool { e, err := ParseExt(&published); return err == nil && e.ID == 7 }},
		{"AppendExt", func() bool {
			b, err := AppendExt(dst, CmdApp, &Ext{QoS: 2, ID: 7, CRC: true, Payload: payload})
			return err == nil && len(b) == len(publish)
		}},
		{"SetDup", func() bool { publish[OffsetFlag] &^= FlagDup; SetDup(publish); return publish[OffsetFlag]&FlagDup != 0 }},
		{"AppendAck", func() bool { return len(AppendAck(dst, CmdPubRec, 7)) == HeaderLen+AckLen }},
		{"ParseAck", func() bool { id, ok := ParseAck(acked.Payload); return ok && id == 7 }},
		{"CheckControl", func() bool { return CheckControl(&acked) == nil }},
		{"ParseHello", func() bool { h, ok := ParseHello(hello[HeaderLen:]); return ok && len(h.Token) == 16 }},
	} {
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

func BenchmarkParseExt(b *testing.B) {
	for _, tt := range []struct {
		name string
		ext  Ext
	}{
		{"QoS1/64B", Ext{QoS: 1, ID: 7, Payload: make([]byte, 64)}},
		{"QoS1/CRC/64B", Ext{QoS: 1, ID: 7, CRC: true, Payload: make([]byte, 64)}},
		{"QoS1/CRC/4000B", Ext{QoS: 1, ID: 7, CRC: true, Payload: make([]byte, 4000)}},
	} {
		b.Run(tt.name, func(b *testing.B) {
			raw, err := AppendExt(nil, CmdApp, &tt.ext)
			if err != nil {
				b.Fatal(err)
			}
			var f Frame
			if _, err := newDecoder(b, GOPR, gatewayRules()).Next(raw, &f); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseExt(&f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
