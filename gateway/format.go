package gateway

// Format declares the frames of a length-framed protocol. All offsets are in bytes from the start of the frame; bytes are written in hex, such as `0x4D43`; a range `4-8` is
// the bytes from 4 up to but not including 8.
type Format struct {
	// The byte order of every integer: `big` or `little`. Default: `big`.
	ByteOrder string `json:"byte_order,omitempty"`
	// The size of the header in bytes. Default: up to the end of the last field declared.
	Header int `json:"header,omitempty"`
	// The bytes that every frame has at magic_offset. Default: none.
	Magic string `json:"magic,omitempty"`
	// What frames from the server have in its place, if that differs; of the same length.
	AnswerMagic string `json:"answer_magic,omitempty"`
	// Where the magic is. Default: 0.
	MagicOffset int `json:"magic_offset,omitempty"`
	// The version field.
	Version *Field `json:"version,omitempty"`
	// The versions accepted where a handler names none; the first is the one that the gateway writes. Default: all.
	Versions []uint32 `json:"versions,omitempty"`
	// The command field.
	Cmd *Field `json:"cmd,omitempty"`
	// The flag field.
	Flag *Field `json:"flag,omitempty"`
	// Where the length field is. This and the next five have the names and the meaning of Netty's LengthFieldBasedFrameDecoder.
	LengthFieldOffset int `json:"length_field_offset,omitempty"`
	// The size of the length field: 1, 2, 3, 4 or 8 bytes. There must be one.
	LengthFieldLength int `json:"length_field_length,omitempty"`
	// What to add to the number in the length field to have the bytes that follow it; may be negative. Default: the number counts the payload alone.
	LengthAdjustment *int `json:"length_adjustment,omitempty"`
	// Where the payload begins. Default: behind the header.
	InitialBytesToStrip int `json:"initial_bytes_to_strip,omitempty"`
	// The longest frame in bytes. Default: 1 MiB, or what a length field of one or two bytes can say.
	MaxFrameLength int `json:"max_frame_length,omitempty"`
	// false: a frame that is too long is passed over where `on_invalid drop` says so, and its length is trusted for that. Default: true.
	FailFast *bool `json:"fail_fast,omitempty"`
	// The checksum of the frame. Default: none.
	Checksum *Checksum `json:"checksum,omitempty"`
	// The bytes with which every frame ends. Default: none.
	Trailer string `json:"trailer,omitempty"`
	// Which frame is a ping, and what answers it. Default: the format has no heartbeat.
	Heartbeat *FormatHeartbeat `json:"heartbeat,omitempty"`
	// Which frames from clients want exactly one answer. Request pooling needs to know.
	Asks *Match `json:"asks,omitempty"`
	// Which frames from servers are an answer.
	Answers *Match `json:"answers,omitempty"`
	// The number that pairs an answer with what asked for it. Default: answers come in the order of the requests.
	ID *ID `json:"id,omitempty"`
}

// Field is an unsigned integer in the header.
type Field struct {
	Offset int `json:"offset"`
	// The size in bytes, 1 to 4.
	Size int `json:"size"`
	// The bits of the integer that are the field. Default: all.
	Mask uint32 `json:"mask,omitempty"`
	// How many bits the value is then moved to the right.
	Shift int `json:"shift,omitempty"`
}

// Checksum says how a frame's checksum is computed, and where it stands.
type Checksum struct {
	// `crc32`, `crc32c`, `crc16-ccitt`, `crc16-modbus`, `adler32`, `xor8` or `sum8`.
	Algorithm string `json:"algorithm"`
	// Where in the header it stands.
	Offset int `json:"offset,omitempty"`
	// It stands behind the payload instead.
	Trailer bool `json:"trailer,omitempty"`
	// What it is over, in this order: ranges of the header, and `payload`. Default: all of the header but itself, and the payload.
	Covers []string `json:"covers,omitempty"`
}

// FormatHeartbeat says which frame is a ping, and what answers it.
type FormatHeartbeat struct {
	Ping Match `json:"ping"`
	// What answers a ping. Default: the ping itself.
	Reply *Reply `json:"reply,omitempty"`
}

// Reply is the frame that answers a ping: a whole frame, or one put together.
type Reply struct {
	// The whole frame. Length, checksum and id are set right in any case.
	Frame string `json:"frame,omitempty"`
	// The command. Default: the ping's.
	Cmd *uint32 `json:"cmd,omitempty"`
	// The flag. Default: the ping's.
	Flag *uint32 `json:"flag,omitempty"`
	// What comes back from the ping: `payload`, and ranges of bytes.
	Echo []string `json:"echo,omitempty"`
}

// Match says which frames are meant: those that have all of it.
type Match struct {
	// Every frame; whatever else is given narrows it.
	Any bool `json:"any,omitempty"`
	// Who sends it, where the magic says so: `client` or `server`.
	From string `json:"from,omitempty"`
	// A value of the field, such as `1`, or some of its bits as value/mask, such as `0x01/0x01`.
	Version string `json:"version,omitempty"`
	// As version; or several commands: `16-31 0x80`.
	Cmd string `json:"cmd,omitempty"`
	// As version.
	Flag string `json:"flag,omitempty"`
	// All of the payload; `0x`: that there is none.
	Payload string `json:"payload,omitempty"`
}

// ID is where a request's number is, and again in its answer.
type ID struct {
	Offset int `json:"offset"`
	// The size in bytes: 1, 2, 4 or 8.
	Size int `json:"size"`
}
