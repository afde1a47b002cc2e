package handler

import (
	"bytes"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// BenchmarkFlight is what the flight recorder adds to a piece from the client, and to a run from a backend.
func BenchmarkFlight(b *testing.B) {
	d := &dialect{format: wire.GOPR, simple: true}
	raw := frame(0x10, 1, string(make([]byte, 64)))
	for _, n := range []int{1, 32} {
		run, f := bytes.Repeat(raw, n), wire.Frame{Cmd: 0x10, Flag: 1, Raw: raw}
		name := map[int]string{1: "1", 32: "32"}[n]
		b.Run("in/"+name, func(b *testing.B) {
			var r flight
			now := time.Now()
			b.ReportAllocs()
			for b.Loop() {
				p := recents.Get().(*recent)
				for range n {
					p.frame(frameIn, &f)
				}
				r.in(now, p)
				p.giveBack()
			}
		})
		b.Run("out/"+name, func(b *testing.B) {
			var r flight
			b.ReportAllocs()
			for b.Loop() {
				r.out(d, run, n)
			}
		})
	}
}
