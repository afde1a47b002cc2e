package recipes

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recipe returns the n-th Caddyfile of a page, counted from 0, with the places named put in for what stands there: `:4730` and `10.0.0.1:4730`, for example.
func recipe(t *testing.T, page string, n int, places map[string]string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "recipes", page))
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```caddyfile\n")[1:]
	if n >= len(blocks) {
		t.Fatalf("%s has %d Caddyfiles, and the one at %d was asked for", page, len(blocks), n)
	}
	file, _, closed := strings.Cut(blocks[n], "\n```")
	if !closed {
		t.Fatalf("%s: a Caddyfile does not end", page)
	}
	words := strings.SplitAfter(file, "\n")
	for written, real := range places {
		found := false
		for i, line := range words {
			for _, field := range strings.Fields(line) {
				if field == written {
					words[i] = strings.Replace(line, written, real, 1)
					found = true
				}
			}
		}
		if !found {
			t.Fatalf("%s: the Caddyfile at %d does not have the address %s", page, n, written)
		}
	}
	return strings.Join(words, "") + "\n"
}
