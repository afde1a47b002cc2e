package gateway

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

var handlerEndpoints = []endpoint{
	{"/gopr/handlers", map[string]handle{http.MethodGet: getHandlers}},
}

// handlersView is what GET /gopr/handlers answers.
type handlersView struct {
	Handlers []handlerView `json:"handlers"`
}

// handlerView is a handler as the admin API shows it. The totals are those of the metrics: they go on over reloads, and start over with the process.
type handlerView struct {
	Handler     string `json:"handler"`
	Connections int    `json:"connections"`        // now
	Opened      uint64 `json:"connections_opened"` // so far
	FramesIn    uint64 `json:"frames_in"`          // application frames from clients
	FramesOut   uint64 `json:"frames_out"`         // and to them
	BytesIn     uint64 `json:"bytes_in"`           // control frames included
	BytesOut    uint64 `json:"bytes_out"`

	Generation  uint64           `json:"generation,omitempty"`       // of the configuration in force; missing: none has the handler
	Since       *time.Time       `json:"generation_since,omitempty"` // when it came into force
	Generations []generationView `json:"generations"`                // of the connections, the newest first
	Draining    bool             `json:"draining"`
}

// generationView is how many connections have the settings of one configuration, and the same of those in force that they have not adopted.
type generationView struct {
	Generation  uint64   `json:"generation"`
	Differs     []string `json:"differs,omitempty"` // what they have not adopted: format, upstream
	Connections int      `json:"connections"`
}

func getHandlers(w http.ResponseWriter, _ *http.Request) error {
	v := handlersView{Handlers: []handlerView{}}
	for _, l := range allLives() {
		v.Handlers = append(v.Handlers, l.view())
	}
	return answer(w, v)
}

// allLives returns what there is of handlers, by name.
func allLives() []*Live {
	var all []*Live
	lives.Range(func(_, v any) bool {
		all = append(all, v.(*Live))
		return true
	})
	slices.SortFunc(all, func(a, b *Live) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

func (l *Live) view() handlerView {
	v := handlerView{
		Handler: l.Name, Connections: l.Open(), Opened: total(l.Opened),
		FramesIn: total(l.FramesIn), FramesOut: total(l.FramesOut), BytesIn: total(l.BytesIn), BytesOut: total(l.BytesOut),
		Generations: l.generations(), Draining: l.Draining(),
	}
	if g := l.Current(); g != nil {
		v.Generation, v.Since = g.ID, moment(g.Since)
	}
	return v
}

// generations counts the connections by what settings they have.
func (l *Live) generations() []generationView {
	type kind struct {
		id      uint64
		differs string
	}
	count := make(map[kind]int)
	var p pace
	for e := range walk([]*Live{l}, 0) {
		p.rest()
		id, differs := e.conn.Generation()
		count[kind{id, strings.Join(differs, " ")}]++
	}
	all := []generationView{}
	for k, n := range count {
		all = append(all, generationView{k.id, strings.Fields(k.differs), n})
	}
	slices.SortFunc(all, func(a, b generationView) int {
		return cmp.Or(cmp.Compare(b.Generation, a.Generation), slices.Compare(a.Differs, b.Differs))
	})
	return all
}

// total reads a counter.
func total(c prometheus.Counter) uint64 {
	var m dto.Metric
	if c.Write(&m) != nil {
		return 0
	}
	return uint64(m.GetCounter().GetValue())
}
