package wire

// Asks reports whether a frame from a client wants exactly one answer.
func (f *Format) Asks(frame *Frame) bool { return f.asks.matches(&f.table, frame) }

// Answers reports whether a frame from a server is the answer to one that
// asked: to the one with the same id, or to the oldest.
func (f *Format) Answers(frame *Frame) bool { return f.answers.matches(&f.table, frame) }

// HasID reports whether the frames of the format carry an id. Without one,
// answers come in the order of the requests. GOPR has none that is there on
// every connection: its own counts on extended ones alone.
func (f *Format) HasID() bool { return f.id.size > 0 }

// MaxID is the greatest id that the field holds; 0: the format has no id.
func (f *Format) MaxID() uint64 { return f.id.max() }

// ID is the number that pairs a frame with its answer. It reports false if the
// format has none, or the frame is too short to hold it.
func (f *Format) ID(frame *Frame) (uint64, bool) {
	if !f.hasID(frame.Raw) {
		return 0, false
	}
	return f.id.load(frame.Raw), true
}

// SetID writes the id into a whole frame and brings its checksum up to date.
// It reports false, and leaves the frame alone, if the frame has no place for
// an id or the id is over [Format.MaxID].
func (f *Format) SetID(raw []byte, id uint64) bool {
	if !f.hasID(raw) || !f.id.fits(id) {
		return false
	}
	f.id.store(raw, id)
	f.seal(raw)
	return true
}

func (f *Format) hasID(raw []byte) bool {
	return f.id.size > 0 && len(raw) >= f.minFrame && f.id.end() <= len(raw)-f.tailLen
}

// AppendAnswer appends an answer to a frame that a decoder of the format has
// read: the same header, with what makes a frame ask taken out and what makes
// it an answer put in, the same id, and the payload given. A payload that does
// not fit is a [*FieldError].
func (f *Format) AppendAnswer(dst []byte, request *Frame, payload []byte) ([]byte, error) {
	if err := f.checkPayload(payload); err != nil {
		return dst, err
	}
	start := len(dst)
	dst = f.put(dst, FromServer, 0, 0, 0, payload)
	frame := dst[start:]

	header := frame[:f.payloadAt]
	length := f.length.load(frame)
	copy(header, request.Raw)
	copy(frame[f.magicAt:], f.magicFrom(FromServer))
	f.length.store(frame, length)
	f.version.store(frame, answering(request.Version, f.asks.version, f.answers.version, &f.version))
	f.cmd.store(frame, answering(request.Cmd, f.asks.cmd, f.answers.cmd, &f.cmd))
	f.flag.store(frame, answering(request.Flag, f.asks.flag, f.answers.flag, &f.flag))
	if id, ok := f.ID(request); ok && f.hasID(frame) {
		f.id.store(frame, id)
	}
	f.seal(frame)
	return dst, nil
}

// answering is a field of the answer to a request that had v there. A test of
// all bits on the asking side, such as one command, is no mark to take out
// unless the answering side has another.
func answering(v uint32, asks, answers maskedValue, fd *field) uint64 {
	v = v&^answers.mask | answers.value
	if mark := asks.mask &^ answers.mask; mark != ^uint32(0) {
		v &^= asks.value & mark
	}
	return uint64(v) & fd.max()
}
