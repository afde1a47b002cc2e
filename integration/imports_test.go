package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/caddy-gopr/caddy-gopr"

// A room is a package at the top of the module together with all packages below it.
type room struct {
	// imports are the other rooms that it may import.
	imports []string
	// rim says that it may import other modules: Caddy, caddy-l4, zap, Prometheus.
	// The other rooms can be used without Caddy and import the standard library alone.
	rim bool
}

// importMap holds what CONTRIBUTING.md draws. Tests keep to it as the code does.
var importMap = map[string]room{
	"wire":         {},
	"keepalive":    {},
	"transport":    {},
	"client":       {imports: []string{"wire", "keepalive", "transport", "qos", "queue"}},
	"upstream":     {imports: []string{"client", "wire", "keepalive", "transport"}},
	"internal":     {rim: true},
	"store":        {},
	"session":      {imports: []string{"store"}},
	"queue":        {imports: []string{"store"}},
	"qos":          {imports: []string{"wire"}},
	"delivery":     {imports: []string{"session", "queue", "qos", "upstream", "wire", "keepalive"}},
	"gateway":      {imports: []string{"delivery", "session", "queue", "store", "upstream", "client", "wire", "keepalive", "transport", "internal"}, rim: true},
	"handler":      {imports: []string{"gateway", "delivery", "session", "queue", "upstream", "wire", "keepalive", "transport", "internal"}, rim: true},
	"authenticate": {imports: []string{"gateway", "internal"}, rim: true},
	"matcher":      {imports: []string{"gateway", "wire", "internal"}, rim: true},
	"cli":          {imports: []string{"gateway", "client", "queue", "wire", "transport"}, rim: true},
	"module.go":    {imports: []string{"gateway", "handler", "matcher", "authenticate", "cli"}, rim: true},
}

// outside are the rooms around the product: they may import anything, and nothing may import them.
var outside = []string{"integration", "bench"}

// testModules are the modules that the tests of every room may import.
var testModules = []string{"go.uber.org/goleak", "github.com/hashicorp/yamux"}

// listed is what `go list -json` says of a package.
type listed struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func TestImportMap(t *testing.T) {
	// Each system has files of its own, so each has imports of its own.
	for _, goos := range []string{"linux", "darwin", "windows"} {
		t.Run(goos, func(t *testing.T) {
			packages := goList(t, goos)
			if !slices.ContainsFunc(packages, func(p listed) bool { return p.ImportPath == module }) {
				t.Fatalf("go list found %d packages, but not %s", len(packages), module)
			}
			for _, p := range packages {
				for _, v := range violations(p) {
					t.Error(v)
				}
			}
		})
	}
}

// alsoImports are the exceptions: packages below the rim that import something else than the standard library.
var alsoImports = map[string][]string{
	"upstream/mux":  {"github.com/hashicorp/yamux"},
	"store/sqlite":  {"modernc.org/sqlite"},
	"store/redis":   {"github.com/redis/go-redis/v9", "github.com/redis/go-redis/v9/logging", "github.com/redis/go-redis/v9/maintnotifications"},
	"queue/redis":   {"github.com/redis/go-redis/v9"},
	"session/redis": {"github.com/redis/go-redis/v9"},
}

// TestImportMapDocumented keeps CONTRIBUTING.md from drawing another map than the one above.
func TestImportMapDocumented(t *testing.T) {
	text, err := os.ReadFile("../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	var drawn []string
	for line := range strings.Lines(string(text)) {
		drawn = append(drawn, strings.Join(strings.Fields(line), " "))
	}
	for name, room := range importMap {
		imports := "nothing of ours"
		if len(room.imports) > 0 {
			imports = strings.Join(room.imports, ", ")
		}
		if line := name + " → " + imports; !slices.Contains(drawn, line) {
			t.Errorf("CONTRIBUTING.md lacks the line %q", line)
		}
	}
}

func TestViolations(t *testing.T) {
	const zap, caddy, goleak = "go.uber.org/zap", "github.com/caddyserver/caddy/v2", "go.uber.org/goleak"

	tests := []struct {
		name string
		pkg  listed
		want []string // one part of each message
	}{
		{
			name: "the standard library, everywhere",
			pkg:  listed{ImportPath: module + "/wire", Imports: []string{"encoding/binary", "io"}, TestImports: []string{"testing"}},
		},
		{
			name: "an arrow down",
			pkg:  listed{ImportPath: module + "/client", Imports: []string{module + "/wire", module + "/keepalive"}},
		},
		{
			name: "an arrow up",
			pkg:  listed{ImportPath: module + "/wire", Imports: []string{module + "/client"}},
			want: []string{"wire imports client, but may import nothing of ours"},
		},
		{
			name: "an arrow to a sibling",
			pkg:  listed{ImportPath: module + "/matcher", Imports: []string{module + "/handler"}},
			want: []string{"matcher imports handler, but may import gateway, wire, internal"},
		},
		{
			name: "an arrow to the root",
			pkg:  listed{ImportPath: module + "/handler", Imports: []string{module}},
			want: []string{"handler imports module.go, but may import gateway"},
		},
		{
			name: "the root's arrow past the next floor",
			pkg:  listed{ImportPath: module, Imports: []string{module + "/cli", module + "/wire"}},
			want: []string{"module.go imports wire, but"},
		},
		{
			name: "within a room",
			pkg:  listed{ImportPath: module + "/wire", XTestImports: []string{module + "/wire", module + "/wire/internal/vectors"}},
		},
		{
			name: "a room's lower floor",
			pkg:  listed{ImportPath: module + "/wire/internal/vectors", Imports: []string{module + "/upstream/fake"}},
			want: []string{"wire/internal/vectors imports upstream/fake, but may import nothing of ours"},
		},
		{
			name: "a name that only begins like a room's",
			pkg:  listed{ImportPath: module + "/client", Imports: []string{module + "/wired"}},
			want: []string{"client imports wired, but"},
		},
		{
			name: "another module in the rim",
			pkg:  listed{ImportPath: module + "/gateway", Imports: []string{caddy, zap}},
		},
		{
			name: "other modules below the rim",
			pkg:  listed{ImportPath: module + "/upstream", Imports: []string{caddy, zap}},
			want: []string{
				"upstream imports " + caddy + ", but is to stay usable without Caddy",
				"upstream imports " + zap,
			},
		},
		{
			name: "tests keep to the map",
			pkg:  listed{ImportPath: module + "/client", TestImports: []string{module + "/cli"}, XTestImports: []string{zap}},
			want: []string{"client imports cli", "client imports " + zap},
		},
		{
			name: "goleak in tests",
			pkg:  listed{ImportPath: module + "/client", TestImports: []string{goleak}, XTestImports: []string{goleak}},
		},
		{
			name: "goleak outside tests",
			pkg:  listed{ImportPath: module + "/client", Imports: []string{goleak}},
			want: []string{"client imports " + goleak},
		},
		{
			name: "one message for one import",
			pkg: listed{
				ImportPath: module + "/wire", Imports: []string{zap},
				TestImports: []string{zap}, XTestImports: []string{zap},
			},
			want: []string{"wire imports " + zap},
		},
		{
			name: "anything outside",
			pkg:  listed{ImportPath: module + "/integration", XTestImports: []string{caddy, module, module + "/wire"}},
		},
		{
			name: "an arrow to the outside",
			pkg:  listed{ImportPath: module + "/cli", Imports: []string{module + "/bench"}},
			want: []string{"cli imports bench, but"},
		},
		{
			name: "a room that is on no map",
			pkg:  listed{ImportPath: module + "/helper", Imports: []string{module + "/wire"}},
			want: []string{"helper is not in the import map"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := violations(tt.pkg)
			if len(got) != len(tt.want) {
				t.Fatalf("got %d violations, want %d:\n%s", len(got), len(tt.want), strings.Join(got, "\n"))
			}
			for i, want := range tt.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("violation %d is %q, want it to contain %q", i, got[i], want)
				}
			}
		})
	}
}

// violations returns a sentence for each import of the package that the import map forbids.
func violations(p listed) []string {
	from := roomOf(p.ImportPath)
	if slices.Contains(outside, from) {
		return nil
	}
	may, known := importMap[from]
	if !known {
		return []string{fmt.Sprintf("%s is not in the import map: draw it in CONTRIBUTING.md and in integration/imports_test.go", from)}
	}

	var found []string
	check := func(imports []string, alsoAllowed []string) {
		for _, path := range imports {
			var why string
			switch to := roomOf(path); {
			case to == from || slices.Contains(may.imports, to) || slices.Contains(alsoAllowed, path):
				continue
			case to != "":
				why = "may import nothing of ours"
				if len(may.imports) > 0 {
					why = "may import " + strings.Join(may.imports, ", ")
				}
			case isStandard(path) || may.rim || slices.Contains(alsoImports[short(p.ImportPath)], path):
				continue
			default:
				why = "is to stay usable without Caddy: the standard library alone"
			}
			v := fmt.Sprintf("%s imports %s, but %s (see the import map in CONTRIBUTING.md)", short(p.ImportPath), short(path), why)
			if !slices.Contains(found, v) {
				found = append(found, v)
			}
		}
	}
	check(p.Imports, nil)
	check(p.TestImports, testModules)
	check(p.XTestImports, testModules)
	return found
}

// roomOf returns the room of one of our packages, and "" for a package that is not ours.
func roomOf(path string) string {
	if path == module {
		return "module.go"
	}
	below, ours := strings.CutPrefix(path, module+"/")
	if !ours {
		return ""
	}
	first, _, _ := strings.Cut(below, "/")
	return first
}

// short leaves the module's own path out of a package's path.
func short(path string) string {
	if path == module {
		return "module.go"
	}
	return strings.TrimPrefix(path, module+"/")
}

// isStandard tells the standard library from modules as the go command does: the first element of a module's path has a dot.
func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

// goList returns the module's packages as they are built on a system.
func goList(t *testing.T, goos string) []listed {
	t.Helper()
	// -e and GOPROXY=off: only names are asked for, so a module that another system
	// needs, and that was never downloaded here, is neither missed nor fetched.
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports", module+"/...")
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOPROXY=off")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}

	var packages []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			return packages
		case err != nil:
			t.Fatalf("go list's JSON: %v", err)
		}
		packages = append(packages, p)
	}
}
