package authenticate

import (
	"fmt"
	"testing"
	"time"
)

func TestVerdictsAreBounded(t *testing.T) {
	const most = 100
	v := newVerdicts(most)
	now := time.Now()
	first := v.question([]byte("first"))
	for i := range 3 * most {
		v.note(v.question(fmt.Append(nil, i)), true, now, now.Add(time.Minute))
		if i%(most/4) == 0 {
			if i == 0 {
				v.note(first, false, now, now.Add(time.Minute))
			}
			if ok, known := v.find(first, now); ok || !known {
				t.Fatalf("what is asked for is forgotten after %d others: %t, %t", i, ok, known)
			}
		}
	}
	if n := len(v.young) + len(v.old); n > most {
		t.Errorf("%d verdicts, not %d", n, most)
	}
	if _, known := v.find(first, now.Add(time.Minute)); known {
		t.Error("it is known after its time")
	}
	if v.question([]byte("ab"), []byte("c")) == v.question([]byte("a"), []byte("bc")) {
		t.Error("two questions are one")
	}
}
