package wire

import "slices"

// The built-in formats, by the names that [Lookup] finds them under.
var (
	// GOPR is "gopr": version 1 of the GOPR protocol.
	GOPR = func() *Format {
		f := mustFormat("gopr", Layout{
			Magic:             []byte("GOPR"),
			Version:           Field{Offset: OffsetVersion, Size: 2},
			Versions:          []uint32{Version},
			LengthFieldOffset: OffsetLength,
			LengthFieldLength: 2,
			Cmd:               Field{Offset: OffsetCmd, Size: 1},
			Flag:              Field{Offset: OffsetFlag, Size: 1},
			Heartbeat: Heartbeat{
				Ping: Match{Cmd: Is(CmdPing), Flag: Is(FlagReq)},
				Pong: &Reply{Cmd: new(uint32(CmdPong)), Flag: new(uint32(FlagRsp)), EchoPayload: true},
			},
			Asks:    Match{Flag: Has(FlagReq)},
			Answers: Match{Flag: Has(FlagRsp)},
		})
		f.path = pathStraight
		return f
	}()

	// MC is "mc": magic u16 0x4D43, version u8, cmd u16, payload length u32,
	// crc32 u32 of the nine bytes before it and the payload. These add up to a
	// header of 13 bytes, where the document that the format comes from says
	// 12. A ping, cmd 0x0001, is answered with itself.
	MC = mustFormat("mc", Layout{
		Magic:             []byte("MC"),
		Version:           Field{Offset: 2, Size: 1},
		Versions:          []uint32{1},
		Cmd:               Field{Offset: 3, Size: 2},
		LengthFieldOffset: 5,
		LengthFieldLength: 4,
		Checksum:          Checksum{Algorithm: CRC32, Offset: 9},
		Heartbeat:         Heartbeat{Ping: Match{Cmd: Is(1)}},
	})

	// FRAM is "fram": magic u32 0x4652414D, payload length u16, payload, and
	// behind it the crc32 u32 of all before.
	FRAM = mustFormat("fram", Layout{
		Magic:             []byte("FRAM"),
		LengthFieldOffset: 4,
		LengthFieldLength: 2,
		Checksum:          Checksum{Algorithm: CRC32, Trailer: true},
	})

	// GOLG is "golg", little-endian: magic u32 0x474F4C47, payload length u16,
	// flags u8. The magic is an integer like the rest, so in the stream it is
	// the letters backwards.
	GOLG = mustFormat("golg", Layout{
		ByteOrder:         LittleEndian,
		Magic:             []byte("GLOG"),
		LengthFieldOffset: 4,
		LengthFieldLength: 2,
		Flag:              Field{Offset: 6, Size: 1},
	})

	// Length is "length": a payload behind its length, u32, and no more. Take
	// its Layout to declare one by other parameters.
	Length = mustFormat("length", Layout{LengthFieldLength: 4})
)

var builtIn = []*Format{GOPR, MC, FRAM, GOLG, Length}

// BuiltIn lists the built-in formats, GOPR first.
func BuiltIn() []*Format { return slices.Clone(builtIn) }

// Lookup finds a built-in format by the name it has in the configuration.
func Lookup(name string) (*Format, bool) {
	for _, f := range builtIn {
		if f.name == name {
			return f, true
		}
	}
	return nil, false
}
