package wire

import (
	"errors"
	"fmt"
	"slices"
)

// declareChecksum settles what stands behind the payload, and what a checksum
// is over.
func (f *Format) declareChecksum(l *Layout) error {
	c := &l.Checksum
	if len(l.Trailer) > maxHeader {
		return fmt.Errorf("trailer of %d bytes: at most %d", len(l.Trailer), maxHeader)
	}
	f.trailer = l.Trailer
	f.tailLen = len(l.Trailer)
	if c.Algorithm == NoChecksum {
		if c.Offset != 0 || c.Trailer || c.Covers != nil || c.CoversPayload {
			return errors.New("checksum has a place or covers bytes, but no algorithm")
		}
		return nil
	}
	if int(c.Algorithm) >= len(algorithmNames) {
		return fmt.Errorf("checksum: there is no %v", c.Algorithm)
	}
	if c.Trailer {
		if c.Offset != 0 {
			return fmt.Errorf("checksum stands behind the payload and at byte %d: want one of them", c.Offset)
		}
		f.tailLen += c.Algorithm.Size()
	}

	f.sum = checksum{
		algorithm:   c.Algorithm,
		field:       newField(Field{Offset: c.Offset, Size: c.Algorithm.Size()}, l.ByteOrder),
		trailer:     c.Trailer,
		payloadFrom: -1,
	}
	covers, payload := c.Covers, c.CoversPayload
	if len(covers) == 0 && !payload {
		covers, payload = []Range{{0, f.headerLen}}, true
		if !c.Trailer {
			covers = []Range{{0, c.Offset}, {f.sum.field.end(), f.headerLen}}
		}
		covers = slices.DeleteFunc(covers, func(r Range) bool { return r.From == r.To })
	}
	for _, r := range covers {
		if r.From < 0 || r.From >= r.To || r.To > f.headerLen {
			return fmt.Errorf("checksum covers %d-%d: want a range within the header of %d bytes", r.From, r.To, f.headerLen)
		}
		if !c.Trailer && r.From < f.sum.field.end() && c.Offset < r.To {
			return fmt.Errorf("checksum covers %d-%d and so itself, %s", r.From, r.To, place(c.Offset, f.sum.field.size))
		}
	}
	if payload {
		f.sum.payloadFrom = f.headerLen
		// What runs into the payload is one stretch with it.
		if n := len(covers); n > 0 && covers[n-1].To == f.headerLen {
			f.sum.payloadFrom = covers[n-1].From
			covers = covers[:n-1]
		}
	}
	f.sum.covers = covers
	return nil
}
