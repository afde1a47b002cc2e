package wire

import (
	"bufio"
	"compress/gzip"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
)

// testdata/netty/README.md says what a case is, and how to use the flags.
var (
	nettyRead  = flag.String("netty.read", "", "compare the cases of this `file` instead of the stored ones")
	nettyWrite = flag.String("netty.write", "", "write random cases to this `file`, for Netty to answer")
	nettyCases = flag.Int("netty.cases", 2500, "how many cases to write")
	nettySeed  = flag.Uint64("netty.seed", 1, "the seed of the cases to write")
)

func TestNettyCases(t *testing.T) {
	if *nettyWrite != "" {
		if err := writeNettyCases(*nettyWrite, *nettySeed, *nettyCases); err != nil {
			t.Fatal(err)
		}
		return
	}

	var r io.Reader
	name := "testdata/netty/cases.txt.gz"
	if *nettyRead != "" {
		name = *nettyRead
	}
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r = file
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(file); err != nil {
			t.Fatal(err)
		}
	}

	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	seen := map[string]int{} // by the first word of an event
	cases, failed := 0, 0
	for lines.Scan() {
		columns := strings.Split(lines.Text(), "\t")
		if len(columns) < 4 {
			t.Fatalf("%s:%d: %d columns", name, cases+1, len(columns))
		}
		want := strings.Join(columns[3:], "\n")
		got, err := answer(columns[0], strings.Fields(columns[1]), strings.Fields(columns[2]))
		if err != nil {
			t.Fatalf("%s:%d: %v", name, cases+1, err)
		}
		if got := strings.Join(got, "\n"); got != want {
			t.Errorf("%s:%d: %s\ngot\n%s\nNetty\n%s", name, cases+1, strings.Join(columns[:3], " | "), got, want)
			if failed++; failed == 10 {
				t.Fatal("and so on")
			}
		}
		for _, event := range columns[3:] {
			what, _, _ := strings.Cut(event, " ")
			seen[what]++
		}
		cases++
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d cases: %v", cases, seen)
	if cases < 2000 {
		t.Errorf("%d cases, want 2000", cases)
	}
	for _, what := range []string{"frame", "TooLongFrameException", "CorruptedFrameException", "IllegalArgumentException"} {
		if seen[what] < 100 {
			t.Errorf("only %d events are %s", seen[what], what)
		}
	}
}

// answer is what we make of a case, in the words of the cases.
func answer(kind string, parameters, pieces []string) (events []string, err error) {
	var data [][]byte
	for _, piece := range pieces {
		b, err := nettyBytes(piece)
		if err != nil {
			return nil, err
		}
		data = append(data, b)
	}
	number := make([]int, len(parameters))
	for i, p := range parameters {
		number[i], _ = strconv.Atoi(p) // the others are words
	}
	order := BigEndian
	if parameters[0] == "little" {
		order = LittleEndian
	}

	if kind == "prepend" {
		p, err := NewLengthFieldPrepender(order, number[1], number[2], parameters[3] == "includes")
		if err != nil {
			return nil, err
		}
		for _, msg := range data {
			frame, err := p.Append(nil, msg)
			events = append(events, nettyEvent(frame, err))
		}
		return events, nil
	}
	d, err := NewLengthFieldBasedFrameDecoder(order, number[1], number[2], number[3], number[4], number[5], parameters[6] == "fast")
	if err != nil {
		return []string{"IllegalArgumentException " + err.Error()}, nil
	}
	return nettyChannel(d, data), nil
}

// nettyChannel calls a decoder as Netty's ByteToMessageDecoder does: for each
// piece until nothing comes of it or there is an error, and again, then once
// more, when the channel closes.
func nettyChannel(d *LengthFieldBasedFrameDecoder, pieces [][]byte) (events []string) {
	var in []byte
	once := func() (progress, ok bool) {
		frame, n, err := d.Decode(in)
		in = in[n:]
		if err != nil || frame != nil {
			events = append(events, nettyEvent(frame, err))
		}
		return n > 0, err == nil
	}
	all := func() bool {
		for len(in) > 0 {
			progress, ok := once()
			if !ok {
				return false
			}
			if !progress {
				break
			}
		}
		return true
	}
	for _, piece := range pieces {
		in = append(in[:len(in):len(in)], piece...)
		all()
	}
	if all() && len(in) > 0 {
		once()
	}
	return events
}

func nettyEvent(frame []byte, err error) string {
	var tooLong *TooLongFrameError
	var corrupted *CorruptedFrameError
	var length *LengthError
	switch {
	case err == nil:
		return "frame " + hex.EncodeToString(frame)
	case errors.As(err, &tooLong):
		return "TooLongFrameException " + err.Error()
	case errors.As(err, &corrupted):
		return "CorruptedFrameException " + err.Error()
	case errors.As(err, &length):
		return "IllegalArgumentException " + err.Error()
	}
	return fmt.Sprintf("%T %v", err, err)
}

func nettyBytes(piece string) ([]byte, error) {
	if piece == "-" {
		return []byte{}, nil
	}
	if zeros, ok := strings.CutPrefix(piece, "0*"); ok {
		n, err := strconv.Atoi(zeros)
		return make([]byte, n), err
	}
	return hex.DecodeString(piece)
}
