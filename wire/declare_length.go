package wire

import (
	"fmt"
	"math"
)

// declareLength settles how long a frame can be.
func (f *Format) declareLength(l *Layout) error {
	adjustment := f.payloadAt + f.tailLen - f.length.end()
	if l.LengthAdjustment != nil {
		adjustment = *l.LengthAdjustment
		if adjustment != int(int32(adjustment)) {
			return fmt.Errorf("length_adjustment %d: want a number of 32 bits", adjustment)
		}
	}
	f.base = f.length.end() + adjustment
	f.minFrame = f.headerLen + f.tailLen
	f.discardTooLong = l.DiscardTooLong

	// No frame is longer than what an int can say on any machine.
	most := int64(f.base) + int64(min(f.length.max(), 1<<40))
	if most < int64(f.minFrame) {
		return fmt.Errorf("length (%s) says at most %d, and with a length_adjustment of %d no frame holds its header of %d bytes and the %d behind the payload",
			place(f.length.offset, f.length.size), f.length.max(), adjustment, f.headerLen, f.tailLen)
	}
	most = min(most, math.MaxInt32)

	switch {
	case l.MaxFrameLength < 0 || l.MaxFrameLength > math.MaxInt32:
		return fmt.Errorf("max_frame_length %d: want 1 to %d, or 0 for the default", l.MaxFrameLength, math.MaxInt32)
	case l.MaxFrameLength > 0 && l.MaxFrameLength < f.minFrame:
		return fmt.Errorf("max_frame_length %d is less than the header of %d bytes and the %d behind the payload",
			l.MaxFrameLength, f.headerLen, f.tailLen)
	case l.MaxFrameLength > 0:
		most = min(most, int64(l.MaxFrameLength))
	case f.length.size > 2:
		most = min(most, DefaultMaxFrameLength)
	}
	f.maxFrame = int(most)
	if f.base > f.maxFrame {
		return fmt.Errorf("length_adjustment %d makes the shortest frame %d bytes, over the max_frame_length of %d", adjustment, f.base, f.maxFrame)
	}
	f.minFrame = max(f.minFrame, f.base)
	f.minLength = uint64(f.minFrame - f.base)
	f.maxLength = uint64(f.maxFrame - f.base)
	return nil
}
