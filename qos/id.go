package qos

// Next is the id of the message after the one with the id last; of the first, where last is 0. It is one more, but for ids whose lower 32 bits are 0, which the wire
// can't say.
func Next(last uint64) uint64 {
	if last++; uint32(last) == 0 {
		last++
	}
	return last
}

// Expand makes an id of the wire 64 bits wide. last is the highest that came before it; 0: none did. It is above where it is 1 to 2^31-1 ahead of last, or nothing came
// before it. Otherwise it is the one at or below last that the wire means. ok is false for the id 0, and for one that is neither: of all those that the wire could mean,
// none is near.
func Expand(last uint64, id uint32) (full uint64, above, ok bool) {
	if id == 0 {
		return 0, false, false
	}
	if last == 0 {
		return uint64(id), true, true
	}
	ahead := id - uint32(last)
	if 0 < ahead && ahead < 1<<31 {
		return last + uint64(ahead), true, true
	}
	behind := uint64(-ahead)
	if behind >= last || behind > 1<<31 {
		return 0, false, false
	}
	return last - behind, false, true
}
