package gateway

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

type closedPage struct {
	Closed []endedView `json:"closed"`
	Next   string      `json:"next"`
}

// forgetting gives the test a history of its own.
func forgetting(t *testing.T, most int) {
	t.Helper()
	old := &history.ended
	was, last, limit := *old, history.last, history.max
	history.ended, history.last, history.max = nil, 0, most
	t.Cleanup(func() { history.ended, history.last, history.max = was, last, limit })
}

func TestGetClosed(t *testing.T) {
	forgetting(t, 100)
	l := live(t, "")
	at := time.Now()
	remote := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 40000}
	l.Ended(Info{ID: NewConnID(), Since: at.Add(-time.Minute), Remote: remote, FramesIn: 3}, nil, "eof", nil)
	l.Ended(Info{}, remote, "upstream_error", errors.New("no backend"))
	all := askFor[closedPage](t, http.MethodGet, "/gopr/closed")
	if len(all.Closed) != 2 || all.Next != "" {
		t.Fatalf("%+v, want two", all)
	}
	newest, oldest := all.Closed[0], all.Closed[1]
	if newest.Reason != "upstream_error" || newest.Error != "no backend" || newest.Remote != "10.0.0.1:40000" || newest.Duration != 0 || newest.Handler != l.Name {
		t.Errorf("the newest: %+v", newest)
	}
	if oldest.Reason != "eof" || oldest.Error != "" || oldest.Duration < 60 || oldest.FramesIn != 3 || oldest.Closed.Before(at) {
		t.Errorf("the oldest: %+v", oldest)
	}
	for _, tt := range []struct {
		query string
		n     int
	}{
		{"reason=eof", 1}, {"reason=killed", 0}, {"handler=" + l.Name, 2}, {"older_than=59s", 1}, {"remote=10.0.0.0/8&reason=upstream_error", 1},
	} {
		if n := len(askFor[closedPage](t, http.MethodGet, "/gopr/closed?"+tt.query).Closed); n != tt.n {
			t.Errorf("%s: %d, want %d", tt.query, n, tt.n)
		}
	}
	for _, tt := range []struct{ query, says string }{
		{"state=idle", "there is no filter"},
		{"limit=x", "limit"},
		{"cursor=7", "is none of this list: leave it out to begin with the newest"},
		{"cursor=" + NewConnID().String(), "is none of this list"},
	} {
		if status, body := ask(t, http.MethodGet, "/gopr/closed?"+tt.query); status != http.StatusBadRequest || !contains(body, tt.says) {
			t.Errorf("%s: %d %s, want %s", tt.query, status, body, tt.says)
		}
	}
}

// TestClosedPages: the newest first, each once, while others come on top; no more than are kept.
func TestClosedPages(t *testing.T) {
	forgetting(t, 500)
	l := live(t, "")
	end := func(n int) { l.Ended(Info{FramesIn: uint64(n)}, nil, "eof", nil) }
	for n := range 1200 {
		end(n)
	}
	var got []uint64
	for cursor := ""; ; {
		page := askFor[closedPage](t, http.MethodGet, "/gopr/closed?limit=90"+cursor)
		for _, c := range page.Closed {
			got = append(got, c.FramesIn)
		}
		if page.Next == "" {
			break
		}
		end(5000)
		cursor = "&cursor=" + url.QueryEscape(page.Next)
	}
	var want []uint64
	for n := 1199; n >= 700; n-- {
		want = append(want, uint64(n))
	}
	if len(got) >= len(want) || !slices.Equal(got, want[:len(got)]) || len(got) < len(want)-10 {
		t.Errorf("%d, not the newest but for those that were pushed out meanwhile: %v", len(got), got)
	}
	if len(history.ended) != 500 {
		t.Errorf("%d are kept, want 500", len(history.ended))
	}
}

func TestClosedExactly(t *testing.T) {
	for n := range 8 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			forgetting(t, 5)
			l := live(t, "")
			for i := range n {
				l.Ended(Info{FramesIn: uint64(i)}, nil, "eof", nil)
			}
			seen := 0
			for cursor := ""; ; {
				page := askFor[closedPage](t, http.MethodGet, "/gopr/closed?limit=2"+cursor)
				for _, c := range page.Closed {
					if seen++; c.FramesIn != uint64(n-seen) {
						t.Errorf("number %d is %d", seen, c.FramesIn)
					}
				}
				if page.Next == "" {
					break
				}
				cursor = "&cursor=" + page.Next
			}
			if seen != min(n, 5) {
				t.Errorf("%d, want %d", seen, min(n, 5))
			}
		})
	}
}

func TestClosedErrorsAreBounded(t *testing.T) {
	forgetting(t, 5)
	l := live(t, "")
	l.Ended(Info{}, nil, "eof", errors.New(strings.Repeat("ü", 1000)))
	if got := askFor[closedPage](t, http.MethodGet, "/gopr/closed").Closed[0].Error; got != strings.Repeat("ü", maxError/2)+"…" {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}
