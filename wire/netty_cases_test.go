package wire

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
)

// writeNettyCases writes random cases, the same for the same seed.
func writeNettyCases(name string, seed uint64, n int) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer file.Close()
	w := bufio.NewWriter(file)
	r := rand.New(rand.NewPCG(seed, 0))
	for range n {
		if r.IntN(8) == 0 {
			fmt.Fprintln(w, prependCase(r))
		} else {
			fmt.Fprintln(w, decodeCase(r))
		}
	}
	return w.Flush()
}

func decodeCase(r *rand.Rand) string {
	order := [...]ByteOrder{BigEndian, LittleEndian}[r.IntN(2)]
	lengthFieldOffset := r.IntN(6)
	lengthFieldLength := [...]int{1, 2, 3, 4, 8}[r.IntN(5)]
	lengthAdjustment := r.IntN(17) - 8
	initialBytesToStrip := r.IntN(14)
	maxFrameLength := 8 + r.IntN(40)
	switch r.IntN(40) {
	case 0:
		lengthAdjustment = [...]int{math.MaxInt32, math.MinInt32, math.MaxInt32 - 3, math.MinInt32 + 3, 1000, -1000}[r.IntN(6)]
	case 1:
		maxFrameLength = [...]int{math.MaxInt32, 0, -1, math.MinInt32, 1, 2}[r.IntN(6)]
	case 2:
		initialBytesToStrip = [...]int{math.MaxInt32, -1, math.MinInt32, 100}[r.IntN(4)]
	case 3:
		lengthFieldOffset = [...]int{-1, math.MinInt32, math.MaxInt32, 40}[r.IntN(4)]
	case 4, 5, 6, 7, 8, 9, 10, 11, 12:
		lengthAdjustment = 0
		initialBytesToStrip = 0
	}
	failFast := [...]string{"fast", "slow"}[r.IntN(2)]
	length := newField(Field{Offset: max(0, min(lengthFieldOffset, 64)), Size: lengthFieldLength}, order)
	stream := decodeStream(r, length, lengthAdjustment, maxFrameLength)
	return fmt.Sprintf("decode\t%v %d %d %d %d %d %s\t%s", order, maxFrameLength, lengthFieldOffset, lengthFieldLength,
		lengthAdjustment, initialBytesToStrip, failFast, pieces(r, stream))
}

// decodeStream is a few frames: most of a good length, some too long or with
// a length that cannot be, and at times garbage or the half of one.
func decodeStream(r *rand.Rand, length field, adjustment, maxFrameLength int) (stream []byte) {
	for range 1 + r.IntN(5) {
		size := int64(length.end() + r.IntN(12))
		number := size - int64(length.end()) - int64(adjustment)
		switch r.IntN(10) {
		case 0: // over the maximum, by little or by much
			number = int64(maxFrameLength) - int64(length.end()) - int64(adjustment) + r.Int64N(20) - 3
			size = int64(min(max(maxFrameLength, 0), 80)) + r.Int64N(20)
		case 1: // too short
			number = -r.Int64N(12) - int64(adjustment)
		case 2: // anything
			number = r.Int64()
			if r.IntN(2) == 0 {
				number = -number
			}
		case 3: // at the ends of what a number can say
			number = [...]int64{math.MaxInt64, math.MinInt64, -1, math.MaxInt32, math.MaxInt64 - 10, 0}[r.IntN(6)]
		}
		frame := make([]byte, max(size, int64(length.end())))
		for i := range frame {
			frame[i] = byte(r.Uint32())
		}
		length.store(frame, uint64(number)&length.all())
		stream = append(stream, frame...)
	}
	return stream[:len(stream)-r.IntN(2)*r.IntN(min(len(stream), 10))]
}

func prependCase(r *rand.Rand) string {
	lengthFieldLength := [...]int{1, 2, 3, 4, 8}[r.IntN(5)]
	adjustment := r.IntN(30) - 15
	if r.IntN(10) == 0 {
		adjustment = [...]int{math.MaxInt32, math.MinInt32, 65530, 1<<24 - 10, -65536}[r.IntN(5)]
	}
	var messages []string
	for range 1 + r.IntN(3) {
		switch msg := randomBytes(r, r.IntN(20)); {
		case len(msg) == 0:
			messages = append(messages, "-")
		case r.IntN(8) == 0:
			messages = append(messages, fmt.Sprintf("0*%d", 230+r.IntN(40)))
		default:
			messages = append(messages, hex.EncodeToString(msg))
		}
	}
	return fmt.Sprintf("prepend\t%v %d %d %s\t%s", [...]ByteOrder{BigEndian, LittleEndian}[r.IntN(2)], lengthFieldLength, adjustment,
		[...]string{"includes", "excludes"}[r.IntN(2)], strings.Join(messages, " "))
}

// pieces cuts a stream: not at all, byte by byte, or anywhere.
func pieces(r *rand.Rand, stream []byte) string {
	if len(stream) == 0 {
		return "-"
	}
	var words []string
	longest := [...]int{len(stream), 1, 1 + r.IntN(len(stream))}[r.IntN(3)]
	for len(stream) > 0 {
		n := 1 + r.IntN(longest)
		if longest == len(stream) && len(words) == 0 && r.IntN(2) == 0 {
			n = longest
		}
		n = min(n, len(stream))
		words = append(words, hex.EncodeToString(stream[:n]))
		stream = stream[n:]
	}
	return strings.Join(words, " ")
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}
