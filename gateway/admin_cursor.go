package gateway

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-gopr/caddy-gopr/delivery"
	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/session"
)

// page is a piece of a list of all handlers, which goes from place to place of a handler's list, and then to the next handler. Nothing is kept between two pages, and what the
// first ended with may be gone when the next is asked for.
type page[P, T any] struct {
	of      string // "sessions" or "messages"
	handler string // behind whose place it begins; "": with the first
	after   *P
	compare func(P, P) int
	place   func(*T) P
	all     []placed[T]
}

type placed[T any] struct {
	handler string
	one     T
}

// fill asks the services that the page may have something of, until it has more than limit.
func (p *page[P, T]) fill(of []service, limit int, ask func(v service, after *P) ([]T, error)) error {
	for _, v := range of {
		var after *P
		switch c := cmp.Compare(v.handler, p.handler); {
		case c < 0:
			continue
		case c == 0:
			after = p.after
		}
		if n := len(p.all); n > limit && p.all[n-1].handler != v.handler {
			break
		}
		some, err := ask(v, after)
		if err != nil {
			return storeFault(v, err)
		}
		for _, one := range some {
			p.all = append(p.all, placed[T]{v.handler, one})
		}
	}
	// A handler has two services while a reload brings it other stores.
	slices.SortStableFunc(p.all, func(a, b placed[T]) int {
		return cmp.Or(cmp.Compare(a.handler, b.handler), p.compare(p.place(&a.one), p.place(&b.one)))
	})
	return nil
}

// answer answers with no more than limit, and says where to go on if there are more.
func (p *page[P, T]) answer(w http.ResponseWriter, limit int, view func(handler string, one *T) any, name func(P) string) error {
	all := p.all[:min(len(p.all), limit)]
	views := make([]any, 0, len(all))
	for i := range all {
		views = append(views, view(all[i].handler, &all[i].one))
	}
	v := map[string]any{p.of: views}
	if len(p.all) > limit {
		last := &all[limit-1]
		v["more"] = true
		v["next"] = base64.RawURLEncoding.EncodeToString([]byte(p.of + "\x00" + last.handler + "\x00" + name(p.place(&last.one))))
	}
	return answer(w, v)
}

// begin has the page begin behind a cursor; "": with the first.
func (p *page[P, T]) begin(cursor string, parse func(string) (P, error)) error {
	if cursor == "" {
		return nil
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	parts := strings.SplitN(string(b), "\x00", 3)
	if err == nil && len(parts) == 3 && parts[0] == p.of {
		var place P
		if place, err = parse(parts[2]); err == nil {
			p.handler, p.after = parts[1], &place
			return nil
		}
	}
	return fault(http.StatusBadRequest, "cursor %q is none of this list: leave it out to begin with the first, then take what next says", cursor)
}

func sessionPage(cursor string) (*page[delivery.Place, delivery.Info], error) {
	p := &page[delivery.Place, delivery.Info]{of: "sessions", compare: delivery.Place.Compare, place: (*delivery.Info).Place}
	return p, p.begin(cursor, parseSessionPlace)
}

func nameOfSessionPlace(p delivery.Place) string {
	return SessionName(p.ID) + hex.EncodeToString([]byte(p.Client))
}

func parseSessionPlace(s string) (p delivery.Place, err error) {
	const digits = 2 * len(session.ID{})
	if p.ID, err = parseSession(s[:min(digits, len(s))]); err != nil {
		return p, err
	}
	client, err := hex.DecodeString(s[digits:])
	p.Client = string(client)
	return p, err
}

func messagePage(cursor string) (*page[queue.Place, queue.Entry], error) {
	p := &page[queue.Place, queue.Entry]{
		of: "messages", compare: queue.Place.Compare, place: func(e *queue.Entry) queue.Place { return queue.Place{Box: e.Box, ID: e.Message.ID} },
	}
	return p, p.begin(cursor, func(s string) (place queue.Place, err error) {
		place.Box, place.ID, err = parseMessage(s)
		return place, err
	})
}

func nameOfMessagePlace(p queue.Place) string { return messageName(p.Box, p.ID) }
