package wire

import (
	"fmt"
	"hash/crc32"
)

// Checksum is a checksum in each frame, in the byte order of the format.
type Checksum struct {
	Algorithm Algorithm

	// Offset is where in the header it stands, in bytes; Trailer says that it
	// stands behind the payload instead.
	Offset  int
	Trailer bool

	// Covers are the bytes of the header that it is over, in this order, and
	// CoversPayload adds all that follows the header, up to a checksum or a
	// trailer there. If neither is given, it is over all of the header but
	// itself, and the payload.
	Covers        []Range
	CoversPayload bool
}

// Algorithm is how a checksum is computed.
type Algorithm uint8

// The algorithms, each with its checksum of the nine bytes "123456789".
const (
	NoChecksum  Algorithm = iota
	CRC32                 // IEEE 802.3, as zlib's; 0xCBF43926
	CRC32C                // Castagnoli, as iSCSI's; 0xE3069283
	CRC16CCITT            // polynomial 0x1021 from 0xFFFF, also called CCITT-FALSE; 0x29B1
	CRC16Modbus           // polynomial 0x8005 reflected, from 0xFFFF; 0x4B37
	Adler32               // RFC 1950; 0x091E01DE
	Xor8                  // all bytes xored; 0x31
	Sum8                  // all bytes added, the lowest byte of it; 0xDD
)

var algorithmNames = [...]string{
	NoChecksum:  "none",
	CRC32:       "crc32",
	CRC32C:      "crc32c",
	CRC16CCITT:  "crc16-ccitt",
	CRC16Modbus: "crc16-modbus",
	Adler32:     "adler32",
	Xor8:        "xor8",
	Sum8:        "sum8",
}

// ParseAlgorithm finds an algorithm by the name that String gives it.
func ParseAlgorithm(name string) (Algorithm, error) {
	for a, n := range algorithmNames {
		if n == name {
			return Algorithm(a), nil
		}
	}
	return NoChecksum, fmt.Errorf("checksum %q: want crc32, crc32c, crc16-ccitt, crc16-modbus, adler32, xor8, sum8 or none", name)
}

// String is the algorithm as the configuration writes it, such as "crc32".
func (a Algorithm) String() string {
	if int(a) >= len(algorithmNames) {
		return fmt.Sprintf("algorithm(%d)", uint8(a))
	}
	return algorithmNames[a]
}

// Size is how many bytes the checksum takes: 1, 2 or 4, and 0 for NoChecksum.
func (a Algorithm) Size() int {
	switch a {
	case CRC32, CRC32C, Adler32:
		return 4
	case CRC16CCITT, CRC16Modbus:
		return 2
	case Xor8, Sum8:
		return 1
	}
	return 0
}

// start is the checksum of no bytes.
func (a Algorithm) start() uint32 {
	switch a {
	case CRC16CCITT, CRC16Modbus:
		return 0xFFFF
	case Adler32:
		return 1
	}
	return 0
}

// update adds p to the checksum of the bytes before it.
func (a Algorithm) update(sum uint32, p []byte) uint32 {
	switch a {
	case CRC32:
		return crc32.Update(sum, crc32.IEEETable, p)
	case CRC32C:
		return crc32.Update(sum, castagnoliTable, p)
	case CRC16CCITT:
		for _, c := range p {
			sum = sum<<8&0xFFFF ^ uint32(ccittTable[byte(sum>>8)^c])
		}
	case CRC16Modbus:
		for _, c := range p {
			sum = sum>>8 ^ uint32(modbusTable[byte(sum)^c])
		}
	case Adler32:
		return updateAdler32(sum, p)
	case Xor8:
		for _, c := range p {
			sum ^= uint32(c)
		}
	case Sum8:
		for _, c := range p {
			sum += uint32(c)
		}
		sum &= 0xFF
	}
	return sum
}

// updateAdler32 is here because the standard library's can be continued only
// through a hash.Hash, which would be an allocation for each frame.
func updateAdler32(sum uint32, p []byte) uint32 {
	const (
		mod = 65521 // the greatest prime below 1<<16
		run = 5552  // bytes that are added before b can overflow 32 bits
	)
	a, b := sum&0xFFFF, sum>>16
	for len(p) > 0 {
		n := min(run, len(p))
		for _, c := range p[:n] {
			a += uint32(c)
			b += a
		}
		a, b = a%mod, b%mod
		p = p[n:]
	}
	return b<<16 | a
}

var (
	castagnoliTable = crc32.MakeTable(crc32.Castagnoli)
	ccittTable      = func() (t [256]uint16) {
		for i := range t {
			crc := uint16(i) << 8
			for range 8 {
				carry := crc&0x8000 != 0
				crc <<= 1
				if carry {
					crc ^= 0x1021
				}
			}
			t[i] = crc
		}
		return t
	}()
	modbusTable = func() (t [256]uint16) {
		for i := range t {
			crc := uint16(i)
			for range 8 {
				carry := crc&1 != 0
				crc >>= 1
				if carry {
					crc ^= 0xA001 // 0x8005 reflected
				}
			}
			t[i] = crc
		}
		return t
	}()
)
