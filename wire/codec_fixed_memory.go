package wire

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// The two functions below are the one place of this package that reads and
// writes memory by address. That is sound because every offset is one that
// reflection gave for the type of the value that p points to, every run lies
// within that value, numbers of one width differ in type alone, and the value
// holds no pointer that the garbage collector would have to know of.

// store writes the value at p over dst, which is as long as the layout.
func (l *fixedLayout) store(dst []byte, p unsafe.Pointer) {
	for _, r := range l.runs {
		at := unsafe.Add(p, r.offset)
		switch r.kind {
		case fixedPad:
			clear(dst[:r.n])
		case fixedBool, fixedByte:
			copy(dst, unsafe.Slice((*byte)(at), r.n))
		case fixedTwo:
			for i, x := range unsafe.Slice((*uint16)(at), r.n) {
				if l.little {
					x = bits.ReverseBytes16(x)
				}
				binary.BigEndian.PutUint16(dst[2*i:], x)
			}
		case fixedFour:
			for i, x := range unsafe.Slice((*uint32)(at), r.n) {
				if l.little {
					x = bits.ReverseBytes32(x)
				}
				binary.BigEndian.PutUint32(dst[4*i:], x)
			}
		case fixedEight:
			for i, x := range unsafe.Slice((*uint64)(at), r.n) {
				if l.little {
					x = bits.ReverseBytes64(x)
				}
				binary.BigEndian.PutUint64(dst[8*i:], x)
			}
		}
		dst = dst[r.n*r.kind.width():]
	}
}

// load writes src, which is as long as the layout, over the value at p.
func (l *fixedLayout) load(src []byte, p unsafe.Pointer) {
	for _, r := range l.runs {
		at := unsafe.Add(p, r.offset)
		switch r.kind {
		case fixedPad:
		case fixedBool:
			to := unsafe.Slice((*bool)(at), r.n)
			for i := range to {
				to[i] = src[i] != 0
			}
		case fixedByte:
			copy(unsafe.Slice((*byte)(at), r.n), src)
		case fixedTwo:
			to := unsafe.Slice((*uint16)(at), r.n)
			for i := range to {
				x := binary.BigEndian.Uint16(src[2*i:])
				if l.little {
					x = bits.ReverseBytes16(x)
				}
				to[i] = x
			}
		case fixedFour:
			to := unsafe.Slice((*uint32)(at), r.n)
			for i := range to {
				x := binary.BigEndian.Uint32(src[4*i:])
				if l.little {
					x = bits.ReverseBytes32(x)
				}
				to[i] = x
			}
		case fixedEight:
			to := unsafe.Slice((*uint64)(at), r.n)
			for i := range to {
				x := binary.BigEndian.Uint64(src[8*i:])
				if l.little {
					x = bits.ReverseBytes64(x)
				}
				to[i] = x
			}
		}
		src = src[r.n*r.kind.width():]
	}
}
