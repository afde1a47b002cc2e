package wire

import "testing"

// A frame costs no allocation on its way in or out.
func TestAllocs(t *testing.T) {
	rules := gatewayRules()
	payload := make([]byte, 4096)
	frame := AppendFrame(nil, CmdApp, FlagReq, payload)
	second, err := GOPR.Append(nil, 2, CmdApp, FlagReq, payload)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, 0, len(frame))
	straight, compiled, slow := newDecoder(t, GOPR, rules), newDecoder(t, twin, rules), newDecoder(t, byLayout(GOPR), rules)
	var f Frame

	tests := []struct {
		name string
		run  func() bool // whether it did what it is measured for
	}{
		{"Next", func() bool { n, err := straight.Next(frame, &f); return n == len(frame) && err == nil }},
		{"Next of the second version", func() bool { n, err := straight.Next(second, &f); return n == len(second) && err == nil }},
		{"Next compiled", func() bool { n, err := compiled.Next(frame, &f); return n == len(frame) && err == nil }},
		{"Next by layout", func() bool { n, err := slow.Next(frame, &f); return n == len(frame) && err == nil }},
		{"Next of half a header", func() bool { n, err := straight.Next(frame[:5], &f); return n == 0 && err == nil }},
		{"Next of half a frame", func() bool { n, err := straight.Next(frame[:50], &f); return n == 0 && err == nil }},
		{"Header", func() bool { n, err := straight.Header(frame[:HeaderLen], &f); return n == len(frame) && err == nil }},
		{"Header of half a header", func() bool { n, err := straight.Header(frame[:5], &f); return n == 0 && err == nil }},
		{"Resync", func() bool { return straight.Resync(payload) == len(payload) }},
		{"AppendFrame", func() bool { return len(AppendFrame(dst, CmdApp, FlagReq, payload)) == len(frame) }},
		{"AppendHeader", func() bool { return len(AppendHeader(dst, CmdApp, FlagReq, 0)) == HeaderLen }},
		{"AppendPing", func() bool { return len(AppendPing(dst, Ping{Seq: 1})) == HeaderLen+PingLen }},
		{"ParsePing", func() bool { _, ok := ParsePing(payload[:PingLen]); return ok }},
		{"Format.Append", func() bool {
			b, err := GOPR.Append(dst, Version, CmdApp, FlagReq, payload)
			return len(b) == len(frame) && err == nil
		}},
	}
	for _, format := range []*Format{MC, memcached, twin, zabbix} {
		d := newDecoder(t, format, Rules{})
		frame, err := format.AppendPing(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		var ping Frame
		if n, err := d.Next(frame, &ping); n != len(frame) || err != nil {
			t.Fatal(n, err)
		}
		tests = append(tests, []struct {
			name string
			run  func() bool
		}{
			{format.Name() + " Next", func() bool { n, err := d.Next(frame, &f); return n == len(frame) && err == nil }},
			{format.Name() + " Append", func() bool {
				b, err := format.Append(dst, ping.Version, ping.Cmd, ping.Flag, payload[:100])
				return len(b) > 100 && err == nil
			}},
			{format.Name() + " heartbeat", func() bool { return format.IsPing(&ping) && len(format.AppendPong(dst, &ping)) > 0 }},
			{format.Name() + " pairing", func() bool {
				_, ok := format.ID(&ping)
				b, err := format.AppendAnswer(dst, &ping, payload[:100])
				return len(b) > 100 && err == nil && !format.Answers(&ping) && format.SetID(b, 7) == ok
			}},
		}...)
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
