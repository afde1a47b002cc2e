package handler

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/transport"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// declaring is an app with declared formats, provisioned.
func declaring(t testing.TB, formats map[string]*gateway.Format) *gateway.App {
	t.Helper()
	app := &gateway.App{Formats: formats}
	if err := app.Provision(provisioned); err != nil {
		t.Fatal(err)
	}
	return app
}

// tiny is a format of cmd u8, flag u8, length u8 and a payload, with what a test adds.
func tiny(edit func(*gateway.Format)) map[string]*gateway.Format {
	f := &gateway.Format{Cmd: &gateway.Field{Size: 1}, Flag: &gateway.Field{Offset: 1, Size: 1}, LengthFieldOffset: 2, LengthFieldLength: 1}
	if edit != nil {
		edit(f)
	}
	return map[string]*gateway.Format{"small": f}
}

// speaking has a handler echo in the format small.
func speaking(t testing.TB, formats map[string]*gateway.Format, edit func(*Handler)) *Handler {
	t.Helper()
	return newHandler(t, func(h *Handler) {
		h.app, h.Format = declaring(t, formats), "small"
		if edit != nil {
			edit(h)
		}
	})
}

func TestEchoOfDeclaredFormats(t *testing.T) {
	tests := []struct {
		name     string
		edit     func(*gateway.Format)
		in, want string
	}{
		{"says nothing of who asks: every frame", nil, "\x10\x00\x02hi\x11\x01\x00", "\x10\x00\x02hi\x11\x01\x00"},
		{"by flag", func(f *gateway.Format) {
			f.Asks, f.Answers = &gateway.Match{Flag: "0x80/0x80"}, &gateway.Match{Flag: "0x40/0x40"}
		}, "\x10\x81\x02hi\x11\x01\x00\x12\x80\x00", "\x10\x41\x02hi\x12\x40\x00"},
		{"by command", func(f *gateway.Format) {
			f.Asks, f.Answers = &gateway.Match{Cmd: "0x00/0x80"}, &gateway.Match{Cmd: "0x80/0x80"}
		}, "\x10\x00\x02hi\x90\x00\x00", "\x90\x00\x02hi"},
		{"by direction", func(f *gateway.Format) { f.Asks, f.Answers = &gateway.Match{Any: true}, &gateway.Match{Any: true} }, "\x10\x00\x02hi", "\x10\x00\x02hi"},
		{"with an id in the payload", func(f *gateway.Format) {
			f.Asks, f.Answers, f.ID = &gateway.Match{Flag: "1"}, &gateway.Match{Flag: "2"}, &gateway.ID{Offset: 3, Size: 2}
		}, "\x10\x01\x03\x12\x34x", "\x10\x02\x03\x12\x34x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLife(t, speaking(t, tiny(tt.edit), nil))
				l.feed([]byte(tt.in), 1)
				if got, _ := l.out.take(); string(got) != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			})
		})
	}
}

// What passes an allow-list: its commands, and heartbeats, by whatever they are known.
func TestCommandsOfDeclaredFormats(t *testing.T) {
	const app, other, beat = "\x10\x00\x00", "\x20\x00\x00", "\x05\x07\x00"
	tests := []struct {
		name  string
		hb    *gateway.FormatHeartbeat
		in    string
		want  string
		close bool
	}{
		{"no heartbeat", nil, app + beat, app, true},
		{"a ping by command and flag", &gateway.FormatHeartbeat{Ping: gateway.Match{Cmd: "5", Flag: "7"}}, beat + app + other, beat + app, true},
		{"the same command, and no ping", &gateway.FormatHeartbeat{Ping: gateway.Match{Cmd: "5", Flag: "7"}}, app + "\x05\x01\x00", app, true},
		{"a ping by flag alone", &gateway.FormatHeartbeat{Ping: gateway.Match{Flag: "7"}}, beat + "\x99\x07\x00" + app + other, beat + "\x99\x07\x00" + app, true},
		{"a ping by some bits of its command", &gateway.FormatHeartbeat{Ping: gateway.Match{Cmd: "0x40/0x40"}}, "\x41\x00\x00\x7f\x00\x00" + app + other, "\x41\x00\x00\x7f\x00\x00" + app, true},
		{"another command answers", &gateway.FormatHeartbeat{Ping: gateway.Match{Cmd: "5"}, Reply: &gateway.Reply{Cmd: new(uint32(6))}}, beat + "\x06\x07\x00" + app, "\x06\x07\x00" + app, false},
		{"a whole frame answers", &gateway.FormatHeartbeat{Ping: gateway.Match{Cmd: "5"}, Reply: &gateway.Reply{Frame: "0x060801FF"}}, beat + "\x06\x08\x01\xff" + app, "\x06\x08\x01\xff" + app, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLife(t, speaking(t, tiny(func(f *gateway.Format) { f.Heartbeat = tt.hb }), func(h *Handler) { h.Commands = []string{"0x10"} }))
				_, next := l.feed([]byte(tt.in))
				if got, _ := l.out.take(); string(got) != tt.want || (next == transport.Close) != tt.close {
					t.Errorf("got %q and %v, want %q and close %v", got, next, tt.want, tt.close)
				}
				if e := l.ending(nil); tt.close && (e.err == nil || !strings.HasSuffix(e.err.Error(), "at byte 0 is not on the allow-list")) {
					t.Errorf("ends with %v, want the command, at byte 0", e.err)
				}
			})
		})
	}
}

func TestProbeOfDeclaredFormats(t *testing.T) {
	tests := []struct {
		name string
		hb   gateway.FormatHeartbeat
		size int    // of the gateway's ping
		pong string // "": the ping itself
	}{
		{"the pong is the ping, payload and all", gateway.FormatHeartbeat{Ping: gateway.Match{Cmd: "5"}}, 3 + 12, ""},
		{"the pong is the ping, whose payload is fixed", gateway.FormatHeartbeat{Ping: gateway.Match{Cmd: "5", Payload: "0x4849"}}, 3 + 2, ""},
		{"the pong echoes nothing", gateway.FormatHeartbeat{Ping: gateway.Match{Cmd: "5"}, Reply: &gateway.Reply{Cmd: new(uint32(6))}}, 3, "\x06\x00\x00"},
		{"the pong is a frame given", gateway.FormatHeartbeat{Ping: gateway.Match{Cmd: "5"}, Reply: &gateway.Reply{Frame: "0x060801FF"}}, 3, "\x06\x08\x01\xff"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := speaking(t, tiny(func(f *gateway.Format) { f.Heartbeat = &tt.hb }), func(h *Handler) {
					h.Heartbeat, h.IdleTimeout = &Heartbeat{Probe: caddy.Duration(time.Minute)}, new(caddy.Duration)
				})
				c := onPipe(t, h)
				for range 3 { // answered each time, so it lives on
					ping := make([]byte, tt.size)
					if _, err := c.Read(ping); err != nil {
						t.Fatal(err)
					}
					if ping[0] != 5 {
						t.Fatalf("got %q, want a ping", ping)
					}
					if tt.pong != "" {
						ping = []byte(tt.pong)
					}
					c.send(ping)
				}
				// And once it is not: within half of a minute it is over.
				ping := make([]byte, tt.size)
				if _, err := c.Read(ping); err != nil {
					t.Fatal(err)
				}
				sent := time.Now()
				c.expectEnd()
				if waited := time.Since(sent); waited != 30*time.Second {
					t.Errorf("given up after %v, want 30s", waited)
				}
				closedFor(t, h, reasonHeartbeat, 1)
			})
		})
	}
}

// Both sides ping at once, in a format whose pong is the ping: each is answered all the same.
func TestPingsCross(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, func(h *Handler) {
			h.Format, h.Heartbeat, h.IdleTimeout = "mc", &Heartbeat{Probe: caddy.Duration(time.Minute)}, new(caddy.Duration)
		})
		c := onPipe(t, h)
		probe := make([]byte, 13+12)
		if _, err := c.Read(probe); err != nil {
			t.Fatal(err)
		}
		for _, own := range [][]byte{mcFrame(1, ""), mcFrame(1, "twelve bytes")} { // the second could be one of the gateway's
			c.send(own)
			c.expect(own)
		}
		c.send(probe)
		again := make([]byte, len(probe)) // it was taken for the answer, so there is another in time
		if _, err := c.Read(again); err != nil || bytes.Equal(again, probe) {
			t.Fatalf("%x, %v: want another ping than %x", again, err, probe)
		}
		if n := metric(t, "pings_answered_total", h.Name); n != 2 {
			t.Errorf("%v pings answered, want 2", n)
		}
	})
}

// The gateway's own pings have the first of the versions that the handler accepts.
func TestProbeHasTheHandlersVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, func(h *Handler) {
			h.Format, h.Versions, h.Heartbeat = "mc", []uint32{3, 1}, &Heartbeat{Probe: caddy.Duration(10 * time.Second)}
		})
		c := onPipe(t, h)
		header := make([]byte, 13)
		if _, err := c.Read(header); err != nil {
			t.Fatal(err)
		}
		if header[2] != 3 {
			t.Errorf("version %d, want 3", header[2])
		}
	})
}

func TestFormatMistakes(t *testing.T) {
	answers := func(f *gateway.Format) {
		f.Magic, f.AnswerMagic, f.MagicOffset = "0x01", "0x02", 3
		f.Heartbeat = &gateway.FormatHeartbeat{Ping: gateway.Match{Cmd: "5"}}
	}
	probe := &Heartbeat{Probe: caddy.Duration(time.Minute)}
	for _, tt := range []struct {
		name string
		edit func(*gateway.Format)
		h    Handler
		want string
	}{
		{"an unknown format", nil, Handler{Format: "large"}, `unknown format "large": one of gopr, mc, fram, golg, length, or one that the global option gopr declares`},
		{"another ping", nil, Handler{Heartbeat: &Heartbeat{Ping: &Control{5, 7}}}, "heartbeat ping and pong of the format small are declared with the format: say them there"},
		{"a probe without a heartbeat", nil, Handler{Heartbeat: probe}, "heartbeat probe: the format small has no heartbeat: declare one with the format, or leave the probe out"},
		{"a probe where only clients ping", answers, Handler{Heartbeat: probe}, "heartbeat probe: in the format small only clients ping, as the magic of a pong is that of a server: leave the probe out"},
		{"versions without the field", nil, Handler{Versions: []uint32{1}}, "version"},
		{"commands without the field", nil, Handler{Format: "fram", Commands: []string{"1"}}, "the frames of fram have no command"},
		{"commands that do not fit", func(f *gateway.Format) { f.Heartbeat = &gateway.FormatHeartbeat{Ping: gateway.Match{Flag: "7"}} }, Handler{Commands: []string{"0x100"}}, "says at most 0xFF"},
		{"request pooling of a format that says nothing", nil, Handler{Upstream: &Upstream{Backends: []string{"a:1"}, Pooling: "request"}}, "pooling request needs to know which frames ask and which answer, and the format small does not say: declare `asks` and `answers` with the format, or take pooling session"},
		{"request pooling between two that say nothing", nil, Handler{Format: "mc", Upstream: &Upstream{Backends: []string{"a:1"}, Pooling: "request", Format: "small"}}, "the format mc does not say"},
		{"an unknown format of backends", nil, Handler{Upstream: &Upstream{Backends: []string{"a:1"}, Format: "large"}}, `upstream: unknown format "large"`},
		{"an id that gets lost", func(f *gateway.Format) { f.ID = &gateway.ID{Offset: 3, Size: 2} }, Handler{Upstream: &Upstream{Backends: []string{"a:1"}, Format: "mc"}}, "requests of the format small have an id, which mc has no place for"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := tt.h
			h.app = declaring(t, tiny(tt.edit))
			if h.Format == "" {
				h.Format = "small"
			}
			if h.Upstream == nil {
				h.Respond = respondEcho
			}
			if _, err := h.compile(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// A group is another's if the format is: also where the name is the same, and where no more than a set of commands differs.
func TestIdentity(t *testing.T) {
	of := func(edit func(*gateway.Format)) string {
		f, err := declaring(t, tiny(edit)).Format("small")
		if err != nil {
			t.Fatal(err)
		}
		return identity(f)
	}
	seen := map[string]string{}
	for name, edit := range map[string]func(*gateway.Format){
		"as it is":     nil,
		"a magic":      func(f *gateway.Format) { f.Magic, f.MagicOffset = "0x01", 3 },
		"asks 1-2":     func(f *gateway.Format) { f.Asks = &gateway.Match{Cmd: "1-2"} },
		"asks 1-3":     func(f *gateway.Format) { f.Asks = &gateway.Match{Cmd: "1-3"} },
		"answers 1-2":  func(f *gateway.Format) { f.Answers = &gateway.Match{Cmd: "1-2"} },
		"asks flag 1":  func(f *gateway.Format) { f.Asks = &gateway.Match{Flag: "1"} },
		"asks flag /1": func(f *gateway.Format) { f.Asks = &gateway.Match{Flag: "1/1"} },
	} {
		id := of(edit)
		if id != of(edit) {
			t.Errorf("%s: not the same twice", name)
		}
		if other, taken := seen[id]; taken {
			t.Errorf("%s and %s are the same: %s", name, other, id)
		}
		seen[id] = name
	}
	if identity(wire.GOPR) == identity(wire.MC) {
		t.Error("gopr and mc are the same")
	}
}
