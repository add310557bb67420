package tidy

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var link = regexp.MustCompile(`\]\(([^)#\s]+)(#[^)]*)?\)`)

// TestLinks follows the links between our documents.
func TestLinks(t *testing.T) {
	walk(t, func(file string) {
		if filepath.Ext(file) != ".md" {
			return
		}
		for _, m := range link.FindAllStringSubmatch(read(t, file), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			target := path.Join(path.Dir(file), m[1])
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s links to %s, which is not there", file, m[1])
			}
		}
	})
}

// TestDecisionsAreListed holds docs/adr against its index.
func TestDecisionsAreListed(t *testing.T) {
	records, err := filepath.Glob(filepath.Join(root, "docs/adr/[0-9]*.md"))
	if err != nil || len(records) == 0 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	index := read(t, "docs/adr/README.md")
	for _, record := range records {
		name := filepath.Base(record)
		text := read(t, "docs/adr/"+name)
		title, _, _ := strings.Cut(text, "\n")
		if !strings.Contains(index, "("+name+")") {
			t.Errorf("docs/adr/README.md does not list %s", name)
		}
		if !strings.HasPrefix(title, "# "+name[:4]+": ") {
			t.Errorf("%s is titled %q", name, title)
		}
		for _, part := range []string{"\n## Context\n", "\n## Decision\n", "\n## Consequences\n"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s has no part %q", name, strings.TrimSpace(part))
			}
		}
	}
}
