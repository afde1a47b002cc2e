package wire

// Peek reads the header of the frame that b begins with. It checks nothing but that the header is there: it is for bytes that a [Decoder] has passed, and for looking
// at them again without paying for that again. size is that of the whole frame, of which b may hold less; 0: b holds no whole header, or one of no frame.
func (f *Format) Peek(b []byte) (size int, cmd, flag uint32) {
	t := &f.table
	if len(b) < t.headerLen || len(b) < t.length.end() {
		return 0, 0, 0
	}
	length := t.length.load(b)
	if length < t.minLength || length > t.maxLength {
		return 0, 0, 0
	}
	return t.frameSize(length), uint32(t.cmd.load(b)), uint32(t.flag.load(b))
}
