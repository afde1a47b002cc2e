package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// group is what the tables show of an upstream group.
type group struct {
	Upstream string `json:"upstream"`
	Admin    string `json:"admin"`
	Waiting  int    `json:"waiting"`
	Backends []struct {
		Backend  string    `json:"backend"`
		Admin    string    `json:"admin"`
		State    string    `json:"state"`
		Links    int       `json:"links"`
		Spare    int       `json:"spare"`
		InFlight int       `json:"in_flight"`
		Failures int       `json:"failures"`
		NextDial time.Time `json:"next_dial"`
		Error    string    `json:"error"`
		Health   struct {
			Score float64 `json:"score"`
		} `json:"health"`
		Requests struct {
			Count uint64  `json:"count"`
			P99   float64 `json:"p99_seconds"`
		} `json:"requests"`
	} `json:"backends"`
}

func readGroups(raw []json.RawMessage) (all []group, err error) {
	for _, r := range raw {
		var g group
		if err := json.Unmarshal(r, &g); err != nil {
			return nil, fmt.Errorf("the admin API's upstreams can't be read: is this Caddy of another version? %w", err)
		}
		all = append(all, g)
	}
	return all, nil
}

func printGroups(out io.Writer, now time.Time, groups []group) error {
	t := newTable("UPSTREAM", "WAITING", "BACKEND", "STATE", "SCORE", "LINKS", "SPARE", "IN FLIGHT", "REQUEST p99", "FAILURES", "LAST ERROR")
	for _, g := range groups {
		name, waiting := g.Upstream, fmt.Sprint(g.Waiting)
		for _, b := range g.Backends {
			state := b.State
			if b.Admin != enabled {
				state = b.Admin + " by an operator"
			} else if g.Admin != enabled {
				state = g.Admin + " by an operator"
			}
			if wait := b.NextDial.Sub(now); wait > 0 {
				state += ", next dial in " + span(wait)
			}
			p99 := none
			if b.Requests.Count > 0 {
				p99 = ms(time.Duration(b.Requests.P99*float64(time.Second))) + " ms"
			}
			failure := none
			if b.Failures > 0 || b.State != "connected" {
				failure = cmp.Or(b.Error, none)
			}
			t.row(name, waiting, b.Backend, state, fmt.Sprintf("%.0f", b.Health.Score), fmt.Sprint(b.Links), fmt.Sprint(b.Spare), fmt.Sprint(b.InFlight), p99, fmt.Sprint(b.Failures), failure)
			name, waiting = "", "" // once
		}
	}
	return t.print(out)
}

// enabled is what an operator wants of a group or backend that he has said nothing of.
const enabled = "enabled"
