package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The documentation is tested like code: its Caddyfiles are valid, its JSON is what they become, its programs compile, its links lead somewhere, and it
// leaves out no option, metric or reason.

// docBlock is a fenced block of a page.
type docBlock struct {
	page string // path from the root of the module
	line int    // of its first line
	lang string
	text string
}

func (b docBlock) String() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

const docsRoot = ".."

// docPages lists README.md and its like, and all of docs.
func docPages(t *testing.T) []string {
	t.Helper()
	all := []string{"README.md", "CHANGELOG.md", "CONTRIBUTING.md"}
	err := filepath.WalkDir(filepath.Join(docsRoot, "docs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".md" {
			rel, err := filepath.Rel(docsRoot, path)
			if err != nil {
				return err
			}
			all = append(all, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// readPage returns the text of a page.
func readPage(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(docsRoot, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// docBlocks cuts the fenced blocks out of a page, and returns what is left.
func docBlocks(name, text string) (fenced []docBlock, prose string) {
	var b *docBlock
	var rest strings.Builder
	for i, line := range strings.Split(text, "\n") {
		lang, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && b == nil:
			b = &docBlock{page: name, line: i + 2, lang: lang}
		case fence:
			fenced = append(fenced, *b)
			b = nil
		case b != nil:
			b.text += line + "\n"
		}
		if !fence && b == nil {
			rest.WriteString(line)
		}
		rest.WriteByte('\n')
	}
	return fenced, rest.String()
}

func allDocBlocks(t *testing.T) []docBlock {
	t.Helper()
	var all []docBlock
	for _, name := range docPages(t) {
		fenced, _ := docBlocks(name, readPage(t, name))
		all = append(all, fenced...)
	}
	return all
}

// docsCaddy runs the Caddy binary named by GOPR_CADDY, with storage of the test's own.
func docsCaddy(t *testing.T) func(stdin string, args ...string) (stdout string, err error) {
	t.Helper()
	binary := os.Getenv("GOPR_CADDY")
	if binary == "" {
		t.Skip("GOPR_CADDY names no Caddy binary; ./xcaddy.sh test does")
	}
	home := t.TempDir()
	return func(stdin string, args ...string) (string, error) {
		cmd := exec.Command(binary, args...)
		cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home)
		cmd.Stdin = strings.NewReader(stdin)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			return "", fmt.Errorf("caddy %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
		}
		return stdout.String(), nil
	}
}

func TestDocsCaddyfiles(t *testing.T) {
	caddy := docsCaddy(t)
	found := 0
	for _, b := range allDocBlocks(t) {
		if b.lang != "caddyfile" {
			continue
		}
		found++
		t.Run(b.String(), func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "Caddyfile")
			if err := os.WriteFile(file, []byte(withCerts(t, b.text)), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := caddy("", "validate", "--config", file); err != nil {
				t.Error(err)
			}
			formatted, err := caddy(b.text, "fmt", "-")
			if err != nil {
				t.Fatal(err)
			}
			if strings.TrimRight(formatted, "\n") != strings.TrimRight(b.text, "\n") {
				t.Errorf("not formatted; caddy fmt makes of it:\n%s", formatted)
			}
		})
	}
	if found == 0 {
		t.Error("no ```caddyfile block anywhere")
	}
}

// A JSON block stands for the Caddyfile above it; one without a Caddyfile above it is valid by itself.
func TestDocsJSON(t *testing.T) {
	caddy := docsCaddy(t)
	var above *docBlock
	found := 0
	for _, b := range allDocBlocks(t) {
		if b.lang != "json" {
			above = nil
			if b.lang == "caddyfile" {
				above = &b
			}
			continue
		}
		of := above
		above = nil
		found++
		t.Run(b.String(), func(t *testing.T) {
			if of == nil {
				file := filepath.Join(t.TempDir(), "caddy.json")
				if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
					t.Fatal(err)
				}
				if _, err := caddy("", "validate", "--config", file); err != nil {
					t.Error(err)
				}
				return
			}
			file := filepath.Join(t.TempDir(), "Caddyfile")
			if err := os.WriteFile(file, []byte(of.text), 0o600); err != nil {
				t.Fatal(err)
			}
			adapted, err := caddy("", "adapt", "--config", file)
			if err != nil {
				t.Fatal(err)
			}
			var got, want any
			if err := json.Unmarshal([]byte(b.text), &got); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(adapted), &want); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("this is not what %v becomes, which is:\n%s", of, adapted)
			}
		})
	}
	if found == 0 {
		t.Error("no ```json block anywhere")
	}
}

// A block of Go is a whole program.
func TestDocsPrograms(t *testing.T) {
	found := 0
	for _, b := range allDocBlocks(t) {
		if b.lang != "go" {
			continue
		}
		found++
		t.Run(b.String(), func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "main.go")
			if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
			// The directory's place decides which module's imports are meant.
			if out, err := exec.Command("go", "vet", file).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			if out, err := exec.Command("gofmt", "-l", file).CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("not formatted: %v %s", err, out)
			}
		})
	}
	if found == 0 {
		t.Error("no ```go block anywhere")
	}
}

var (
	mdLink    = regexp.MustCompile(`!?\[[^\]]*\]\(([^)\s]+)\)`)
	mdHeading = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	mdNoise   = regexp.MustCompile("[^a-z0-9 _-]+")
)

// anchorsOf returns what GitHub makes of a page's headings.
func anchorsOf(text string) []string {
	_, prose := docBlocks("", text)
	var all []string
	for _, m := range mdHeading.FindAllStringSubmatch(prose, -1) {
		a := strings.ReplaceAll(mdNoise.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")
		for n, base := 1, a; slices.Contains(all, a); n++ {
			a = fmt.Sprintf("%s-%d", base, n)
		}
		all = append(all, a)
	}
	return all
}

func TestAnchors(t *testing.T) {
	text := "# A page\n\n## 4. HELLO: the `extended` connection\n```text\n# none\n```\n### tcp_keepalive\n## Load, more\n## Load, more\n"
	want := []string{"a-page", "4-hello-the-extended-connection", "tcp_keepalive", "load-more", "load-more-1"}
	if got := anchorsOf(text); !slices.Equal(got, want) {
		t.Errorf("anchors = %q, want %q", got, want)
	}
}

func TestDocsLinks(t *testing.T) {
	for _, name := range docPages(t) {
		_, prose := docBlocks(name, readPage(t, name))
		for _, m := range mdLink.FindAllStringSubmatch(prose, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(m[1], "#")
			to := name
			if path != "" {
				to = filepath.ToSlash(filepath.Join(filepath.Dir(name), path))
			}
			if _, err := os.Stat(filepath.Join(docsRoot, to)); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
				continue
			}
			if anchor != "" && !slices.Contains(anchorsOf(readPage(t, to)), anchor) {
				t.Errorf("%s links to %s, but %s has no such heading: it has %q", name, m[1], to, anchorsOf(readPage(t, to)))
			}
		}
	}
}

// What the code has, the documentation names.
func TestDocsComplete(t *testing.T) {
	for _, c := range []struct {
		what, source string
		find         *regexp.Regexp
		page, form   string
	}{
		{"option", "handler/config*.go", regexp.MustCompile(`json:"([a-z_]+)`), "docs/configuration.md", "[`\"]%s\\b"},
		{"option", "authenticate/*.go", regexp.MustCompile(`json:"([a-z_0-9]+)`), "docs/authenticate.md", "[`\"]%s\\b"},
		{"option", "gateway/memory_config.go", regexp.MustCompile(`json:"([a-z_]+)`), "docs/configuration.md", "`%s\\b"},
		{"option", "matcher/matcher.go", regexp.MustCompile(`json:"([a-z_]+)`), "docs/modules/matcher-gopr.md", "`%s`"},
		{"placeholder", "matcher/matcher.go", regexp.MustCompile(`repl\.Set\("([a-z0-9.]+)"`), "docs/modules/matcher-gopr.md", `\{%s\}`},
		{"metric", "gateway/metrics*.go", regexp.MustCompile(`(?:gauge|gaugeOf|counter|histograms|desc)\("([a-z0-9_]+)"`), "docs/operations.md", "`caddy_gopr_%s`"},
		{"event", "gateway/drain.go", regexp.MustCompile(`"gopr\.(drain\.[a-z]+)"`), "docs/operations/events.md", "`gopr.%s`"},
		{"event", "delivery/delivery.go", regexp.MustCompile(`EventKind = "([a-z.]+)"`), "docs/operations/events.md", "`gopr.%s`"},
		{"event", "upstream/events.go", regexp.MustCompile(`EventKind = "([a-z.]+)"`), "docs/operations/events.md", "`gopr.%s`"},
		{"reason", "handler/reasons.go", regexp.MustCompile(`reason[A-Z]\w* += "([a-z_]+)"`), "docs/operations.md", "`%s`"},
		{"reason", "gateway/door.go", regexp.MustCompile(`Refused[A-Z]\w* += "([a-z_]+)"`), "docs/operations.md", "`%s`"},
		{"reason", "upstream/reasons.go", regexp.MustCompile(`end[A-Z]\w* += "([a-z_]+)"`), "docs/operations/backends.md", "`%s`"},
		{"reason", "wire/reject.go", regexp.MustCompile(`Reason[A-Z]\w*: +"([a-z_]+)"`), "docs/protocol.md", "`%s`"},
	} {
		t.Run(c.source+" "+c.what, func(t *testing.T) {
			text := readPage(t, c.page)
			sources, err := filepath.Glob(filepath.Join(docsRoot, filepath.FromSlash(c.source)))
			if err != nil {
				t.Fatal(err)
			}
			var names [][]string
			for _, file := range sources {
				b, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				names = append(names, c.find.FindAllStringSubmatch(string(b), -1)...)
			}
			if len(names) == 0 {
				t.Fatalf("no %s found in %s", c.what, c.source)
			}
			for _, m := range names {
				if !regexp.MustCompile(fmt.Sprintf(c.form, regexp.QuoteMeta(m[1]))).MatchString(text) {
					t.Errorf("%s does not name the %s %s of %s", c.page, c.what, m[1], c.source)
				}
			}
		})
	}
}
