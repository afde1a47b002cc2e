package wire

// Layout declares a format: how the frames of a length-framed protocol lie in a
// stream. [NewFormat] checks it and fills in what it leaves out.
//
//	header                                     payload      checksum  trailer
//	| magic | version | length | cmd | flag … |  …          | crc32 | 0x0D0A |
//
// Everything but the length field is optional, and the fields of the header
// stand in any order. All offsets are in bytes from the start of the frame.
type Layout struct {
	// ByteOrder is that of every integer in the frame. The zero value is big.
	ByteOrder ByteOrder

	// Header is the size of the header in bytes; 0: it ends with the last of
	// the fields declared, or at InitialBytesToStrip where that is more.
	Header int

	// Magic is the bytes that every frame has at MagicOffset; empty: none.
	// AnswerMagic is what the frames from the server have in its place, where
	// that is another of the same length; empty: the same both ways.
	Magic, AnswerMagic []byte
	MagicOffset        int

	// Version, Cmd and Flag are what a [Frame] says of itself. A field that
	// the format has not is 0 in every frame.
	Version, Cmd, Flag Field

	// Versions are the versions that a receiver accepts whose [Rules] name
	// none; the first is the one that [Format.AppendPing] writes. Empty: all.
	Versions []uint32

	// The length field and what its number means, by the names and the rules
	// of Netty's LengthFieldBasedFrameDecoder:
	//
	//	size of the frame = LengthFieldOffset + LengthFieldLength + LengthAdjustment + the number
	//
	// LengthFieldLength is 1, 2, 3, 4 or 8 bytes.
	LengthFieldOffset, LengthFieldLength int

	// LengthAdjustment may be negative: for a number that counts the header as
	// well, it is minus what comes up to the end of the length field. nil: the
	// number counts the payload alone.
	LengthAdjustment *int

	// InitialBytesToStrip is where in the frame Payload begins; 0: behind the
	// header. If less than the header, the payload begins with the rest of it.
	InitialBytesToStrip int

	// MaxFrameLength is the size of the longest frame that the format has, in
	// bytes; 0: [DefaultMaxFrameLength], or all that a length field of one or
	// two bytes can say.
	MaxFrameLength int

	// DiscardTooLong is Netty's fail_fast turned off: the reject of a frame
	// that is too long says where it ends, so that a receiver that drops can
	// pass over it. Otherwise no length over the maximum is trusted that far.
	DiscardTooLong bool

	// Checksum is over the frame, and stands in its header or behind its
	// payload. The zero value is none.
	Checksum Checksum

	// Trailer is the bytes with which every frame ends, behind the payload and
	// a checksum there; empty: none.
	Trailer []byte

	// Heartbeat says which frame is a ping and what answers it. The zero value:
	// the format has none.
	Heartbeat Heartbeat

	// Asks are the frames from a client that want exactly one answer, Answers
	// the frames from a server that are one. They need not differ in
	// themselves: Modbus knows the two by their direction alone.
	Asks, Answers Match

	// ID is the number that pairs an answer with what asked for it. It may lie
	// in the payload. Of size 0 is an id that the format has not: then answers
	// come in the order of the requests.
	ID IDField
}

// DefaultMaxFrameLength is the size of the longest frame, in bytes, of a format
// that does not say, and whose length field could say more than 65,535.
const DefaultMaxFrameLength = 1 << 20

// Field is an unsigned integer in the header of a frame.
type Field struct {
	Offset int // bytes from the start of the frame
	Size   int // bytes, 1 to 4; 0: the format has no such field

	// Mask is the bits of the integer that are the field, so that two fields
	// can share a byte; 0: all. Shift is how many bits the value is then moved
	// to the right: of a flag in the upper half of a byte, 4 makes 0 to 15.
	Mask  uint32
	Shift int
}

// IDField is where the id of a request lies, and again in its answer.
type IDField struct {
	Offset int // bytes from the start of the frame
	Size   int // bytes: 1, 2, 4 or 8; 0: the format has no id
}

// Range is the bytes of a frame from From up to but not including To.
type Range struct{ From, To int }

// ByteOrder is that of the integers in a frame.
type ByteOrder uint8

// The two byte orders.
const (
	BigEndian    ByteOrder = iota // the most significant byte first
	LittleEndian                  // the least significant byte first
)

// String is the byte order as the configuration writes it: big or little.
func (o ByteOrder) String() string {
	if o == LittleEndian {
		return "little"
	}
	return "big"
}

// Direction is which way a frame goes, which matters to formats whose magic
// says it.
type Direction uint8

// The directions. A gateway is the server of its clients, and the client of
// its backends.
const (
	AnyDirection Direction = iota
	FromClient             // has Layout.Magic
	FromServer             // has Layout.AnswerMagic, where there is one
)
