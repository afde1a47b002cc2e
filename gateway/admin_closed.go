package gateway

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

var closedEndpoints = []endpoint{
	{"/gopr/closed", map[string]handle{http.MethodGet: getClosed}},
}

// endedView is a connection that has ended, as the admin API shows it.
type endedView struct {
	connectionView
	Closed   time.Time `json:"closed"`
	Duration float64   `json:"duration_seconds"`
	Reason   string    `json:"reason"`
	Error    string    `json:"error,omitempty"`
}

func (e *ended) view() endedView {
	return endedView{
		connectionView: e.info.view(e.handler), Closed: e.at.UTC(), Duration: e.at.Sub(e.info.Since).Seconds(), Reason: e.reason, Error: e.err,
	}
}

// getClosed lists the newest first.
func getClosed(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	f, err := parseFilter(q, closedKeys, "limit", "cursor")
	if err != nil {
		return fault(http.StatusBadRequest, "%w", err)
	}
	limit, err := parseLimit(q)
	if err != nil {
		return fault(http.StatusBadRequest, "%w", err)
	}
	before, err := parseCursor(q.Get("cursor"))
	if err != nil {
		return fault(http.StatusBadRequest, "%w", err)
	}
	l := newList(w, "closed")
	defer l.end()
	var p pace
	for some := make([]ended, 0, 256); ; {
		some = history.before(before, some[:0])
		if len(some) == 0 {
			return nil
		}
		for i := range some {
			p.rest()
			e := &some[i]
			if f.reason != "" && f.reason != e.reason || !f.matches(e.handler, &e.info, e.at) {
				before = e.n
				continue
			}
			if limit--; limit < 0 {
				l.next = cursorOf(before)
				return nil
			}
			before = e.n
			if !l.add(e.view()) {
				return nil
			}
		}
		if before == 1 {
			return nil
		}
	}
}

// cursorOf is where a page of closed connections begins: behind number n.
func cursorOf(n uint64) string { return run + "-c" + strconv.FormatUint(n, 10) }

func parseCursor(s string) (uint64, error) {
	if s == "" {
		return 0, nil
	}
	of, number, _ := strings.Cut(s, "-c")
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil || n == 0 || of != run {
		return 0, fmt.Errorf("cursor %q is none of this list: leave it out to begin with the newest, then take what next says", s)
	}
	return n, nil
}
