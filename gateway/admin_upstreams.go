package gateway

import (
	"cmp"
	"errors"
	"net/http"
	"slices"

	"github.com/caddy-gopr/caddy-gopr/upstream"
)

var upstreamEndpoints = []endpoint{
	{"/gopr/upstreams", map[string]handle{http.MethodGet: getUpstreams}},
	{"/gopr/upstreams/{group}", map[string]handle{http.MethodGet: getUpstream}},
	{"/gopr/upstreams/{group}/{verb}", map[string]handle{http.MethodPost: postVerb}},
}

// upstreamsView is what all paths of groups answer.
type upstreamsView struct {
	Upstreams []upstreamView `json:"upstreams"`
}

// upstreamView is a group as the admin API shows it.
type upstreamView struct {
	Handler  string `json:"handler"`  // whose it is
	Upstream string `json:"upstream"` // the group's own name
	upstream.Stat
}

func getUpstreams(w http.ResponseWriter, _ *http.Request) error {
	return answer(w, viewOf(runningGroups()))
}

func getUpstream(w http.ResponseWriter, r *http.Request) error {
	found, err := groupsNamed(r.PathValue("group"))
	if err != nil {
		return err
	}
	return answer(w, viewOf(found))
}

// postVerb has a verb carried out, on a group or one of its backends. Where a reload has left an old group of the same name to its clients, it holds for both.
func postVerb(w http.ResponseWriter, r *http.Request) error {
	name, verb, backend := r.PathValue("group"), upstream.Verb(r.PathValue("verb")), r.URL.Query().Get("backend")
	if unknown := unknownParameter(r); unknown != "" {
		return fault(http.StatusBadRequest, "no parameter %q: a verb takes `backend`, as in ?backend=10.0.0.1:9000", unknown)
	}
	found, err := groupsNamed(name)
	if err != nil {
		return err
	}
	done := false
	var refused error
	for _, g := range found {
		switch err := g.up.Do(verb, backend); {
		case err == nil:
			done = true
			Log.Info("upstream told to "+string(verb), "handler", g.Handler(), "upstream", g.Name(), "backend", backend)
		case errors.Is(err, upstream.ErrVerb):
			return fault(http.StatusNotFound, "%w", err)
		default:
			refused = err
		}
	}
	switch {
	case done:
		return answer(w, viewOf(found))
	case errors.Is(refused, upstream.ErrNoBackend):
		return fault(http.StatusNotFound, "upstream %s: %w; it has %q", name, refused, backendsOf(found))
	default:
		return fault(http.StatusConflict, "upstream %s: %w", name, refused)
	}
}

func unknownParameter(r *http.Request) string {
	for name := range r.URL.Query() {
		if name != "backend" {
			return name
		}
	}
	return ""
}

// running is a group that has been started.
type running struct {
	*Group
	up *upstream.Group
}

// runningGroups returns the groups that have been started, by handler and name.
func runningGroups() []running {
	var all []running
	groups.Range(func(_, v any) bool {
		if g := v.(*Group); g.started() != nil {
			all = append(all, running{g, g.started()})
		}
		return true
	})
	slices.SortStableFunc(all, func(a, b running) int {
		return cmp.Or(cmp.Compare(a.key.handler, b.key.handler), cmp.Compare(a.key.name, b.key.name), cmp.Compare(a.key.settings, b.key.settings))
	})
	return all
}

// groupsNamed returns the started groups of a name: one, or several while a reload has left old ones to their clients.
func groupsNamed(name string) ([]running, error) {
	all := runningGroups()
	found := slices.DeleteFunc(slices.Clone(all), func(g running) bool { return g.Name() != name })
	if len(found) > 0 {
		return found, nil
	}
	var names []string
	for _, g := range all {
		names = append(names, g.Name())
	}
	return nil, fault(http.StatusNotFound, "no upstream %q: there are %q", name, slices.Compact(names))
}

func viewOf(all []running) upstreamsView {
	v := upstreamsView{Upstreams: []upstreamView{}}
	for _, g := range all {
		v.Upstreams = append(v.Upstreams, upstreamView{g.Handler(), g.Name(), g.up.Stat()})
	}
	return v
}

func backendsOf(all []running) (names []string) {
	for _, g := range all {
		for _, b := range g.up.Stat().Backends {
			names = append(names, b.Backend)
		}
	}
	return names
}
