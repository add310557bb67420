package tidy

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const dependencies = "docs/adr/0007-dependencies.md"

// TestDependencies asks that each module that our code imports, tests
// included, has a line in the table of dependencies.
func TestDependencies(t *testing.T) {
	listed := firstCells(t, dependencies)
	imported := map[string]string{} // module path → a file that imports it
	modules := required(t)
	for _, s := range sources(t) {
		for _, spec := range s.file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if m := moduleOf(path, modules); m != "" {
				imported[m] = s.path
			}
		}
	}
	for m, file := range imported {
		if !listed[m] {
			t.Errorf("%s is imported by %s: say in %s why, its licence, and who keeps it", m, file, dependencies)
		}
	}
}

// moduleOf returns the module that the package at path is of, or "" if it is
// none of modules.
func moduleOf(path string, modules []string) string {
	best := ""
	for _, m := range modules {
		if (path == m || strings.HasPrefix(path, m+"/")) && len(m) > len(best) {
			best = m
		}
	}
	return best
}

// required lists the modules that go.mod requires.
func required(t *testing.T) []string {
	t.Helper()
	var modules []string
	inside := false
	for line := range strings.Lines(read(t, "go.mod")) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case fields[0] == "require" && len(fields) == 2:
			inside = true
		case fields[0] == "require":
			modules = append(modules, fields[1])
		case fields[0] == ")":
			inside = false
		case inside:
			modules = append(modules, fields[0])
		}
	}
	return modules
}

// firstCells returns the first cells of the tables of a Markdown file.
func firstCells(t *testing.T, path string) map[string]bool {
	t.Helper()
	cells := map[string]bool{}
	for line := range strings.Lines(read(t, path)) {
		if row, ok := strings.CutPrefix(line, "| "); ok {
			cell, _, _ := strings.Cut(row, " |")
			cells[cell] = true
		}
	}
	return cells
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
