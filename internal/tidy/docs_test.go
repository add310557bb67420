package tidy

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var link = regexp.MustCompile(`\]\(([^)#\s]*)(#[^)]*)?\)`)

// TestLinks follows the links between our documents, and to the headings in them.
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
			if m[1] == "" {
				target = file
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s links to %s, which is not there", file, m[1])
			} else if m[2] != "" && !slices.Contains(anchors(read(t, target)), m[2][1:]) {
				t.Errorf("%s links to %s in %s, which has no such heading", file, m[2], m[1])
			}
		}
	})
}

// TestDocumentsAreFound: whoever begins with the README comes to every document.
func TestDocumentsAreFound(t *testing.T) {
	found := map[string]bool{}
	for next := []string{"README.md"}; len(next) > 0; {
		file := next[0]
		next = next[1:]
		if found[file] || filepath.Ext(file) != ".md" {
			continue
		}
		found[file] = true
		for _, m := range link.FindAllStringSubmatch(read(t, file), -1) {
			if m[1] != "" && !strings.Contains(m[1], "://") {
				next = append(next, path.Join(path.Dir(file), m[1]))
			}
		}
	}
	walk(t, func(file string) {
		if filepath.Ext(file) == ".md" && !found[file] {
			t.Errorf("no links lead from README.md to %s", file)
		}
	})
}

var (
	heading   = regexp.MustCompile(`(?m)^#+ (.*)$|<a id="([^"]+)">`)
	notInSlug = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// anchors returns the places in a document that links can name.
func anchors(text string) (names []string) {
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		slug := notInSlug.ReplaceAllString(strings.ToLower(m[1]), "")
		names = append(names, strings.ReplaceAll(slug, " ", "-"), m[2])
	}
	return names
}

// TestReasons: operators are told what each reason means that `meseta explain` gives.
func TestReasons(t *testing.T) {
	page, found := read(t, "docs/operator/explain.md"), 0
	for _, m := range reason.FindAllStringSubmatch(read(t, "internal/allocator/explain.go"), -1) {
		if found++; !strings.Contains(page, "`"+m[1]+"`") {
			t.Errorf("docs/operator/explain.md does not have the reason %q", m[1])
		}
	}
	if found < 20 {
		t.Errorf("%d reasons are found", found)
	}
}

var reason = regexp.MustCompile(`\sReason = "([^"]+)"`)

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
