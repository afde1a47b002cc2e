package integration

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The dashboard and the rules of docs/operations are tested like code, too. That the dashboard's queries return data of a real run is shown in e2e.

const monitoring = "docs/operations/"

var ruleFiles = []string{"prometheus-rules.test.yml", "prometheus-rules-week.test.yml"}

// promtool runs promtool in the folder of the rules. It is in Debian's package prometheus; without it the test is skipped.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed: it is in Debian's package prometheus")
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = filepath.Join(docsRoot, monitoring)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestRulesAreValid(t *testing.T) { promtool(t, "check", "rules", "prometheus-rules.yml") }

func TestRules(t *testing.T) { promtool(t, append([]string{"test", "rules"}, ruleFiles...)...) }

// Each alert is seen to fire by a test, and documented.
func TestAlertsAreTestedAndDocumented(t *testing.T) {
	var tests strings.Builder
	for _, f := range ruleFiles {
		tests.WriteString(readPage(t, monitoring+f))
	}
	page := readPage(t, monitoring+"monitoring.md")
	alerts := regexp.MustCompile(`(?m)- alert: (\w+)$`).FindAllStringSubmatch(readPage(t, monitoring+"prometheus-rules.yml"), -1)
	if len(alerts) == 0 {
		t.Fatal("there are no alerts")
	}
	for _, m := range alerts {
		fires := regexp.MustCompile(`alertname: ` + m[1] + `\n\s+eval_time: .*\n\s+exp_alerts:\n\s+- exp_labels`)
		if !fires.MatchString(tests.String()) {
			t.Errorf("no test has %s fire", m[1])
		}
		if !strings.Contains(page, "`"+m[1]+"`") {
			t.Errorf("%smonitoring.md does not name %s", monitoring, m[1])
		}
	}
}

// notShown is what the dashboard does without.
var notShown = map[string]bool{
	"caddy_gopr_upstream_up":            true, // upstream_state says more
	"caddy_gopr_events_dropped_total":   true, // of subscribers that few have
	"caddy_gopr_upstream_discovered":    true, // of DNS, that few backends are found by
	"caddy_gopr_upstream_lookups_total": true,
	"caddy_gopr_upstream_connections":   true, // of mux pooling, that few use
	"caddy_gopr_event_loops":            true, // the same for as long as the process lives,
	"caddy_gopr_event_loops_io_uring":   true, // and so is this
}

// What the rules and the dashboard ask for exists, and the dashboard shows what there is.
func TestMonitoringAsksForOurMetrics(t *testing.T) {
	sources, err := filepath.Glob(filepath.Join(docsRoot, "gateway", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	declared := make(map[string]bool)
	for _, s := range sources {
		if strings.HasSuffix(s, "_test.go") {
			continue
		}
		for _, m := range regexp.MustCompile(`(?:gauge|gaugeOf|counter|histograms|desc)\("([a-z0-9_]+)"`).FindAllStringSubmatch(readPage(t, filepath.Join("gateway", filepath.Base(s))), -1) {
			declared["caddy_gopr_"+m[1]] = true
		}
	}
	suffix := regexp.MustCompile(`_(bucket|count|sum)$`)
	asked := func(text string) (all []string) {
		for _, name := range regexp.MustCompile(`\bcaddy_gopr_[a-z0-9_]+`).FindAllString(text, -1) {
			if !declared[name] {
				name = suffix.ReplaceAllString(name, "")
			}
			all = append(all, name)
		}
		return all
	}
	rules := regexp.MustCompile(`(?m)(\w+:caddy_gopr_\w+:\w+|name: caddy_gopr_\w+|#.*)`).ReplaceAllString(readPage(t, monitoring+"prometheus-rules.yml"), "")
	dashboard := dashboardText(t)
	for what, text := range map[string]string{"the rules": rules, "the dashboard": dashboard} {
		for _, name := range asked(text) {
			if !declared[name] {
				t.Errorf("%s ask for %s, which does not exist", what, name)
			}
		}
	}
	shown := asked(dashboard)
	for name := range declared {
		if !notShown[name] && !slices.Contains(shown, name) {
			t.Errorf("the dashboard does not show %s: give it a panel, or say in notShown why not", name)
		}
	}
}

// dashboardText is the queries of the dashboard.
func dashboardText(t *testing.T) string {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal([]byte(readPage(t, monitoring+"grafana.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			all = append(all, target.Expr)
		}
	}
	return strings.Join(all, "\n")
}
