package tidy

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// hop is how documents point into the code: `path/file.go:Symbol`, a method as
// `path/file.go:Type.Method`.
var hop = regexp.MustCompile("`([a-z0-9_/]+\\.go):([A-Za-z0-9_.]+)`")

// named is how documents name a test or a benchmark without saying where it is, and
// data how they name the files that tests read, scenarios among them.
var (
	named = regexp.MustCompile("`((?:Test|Benchmark|Fuzz)[A-Z][A-Za-z0-9_]*)`")
	data  = regexp.MustCompile("`([a-z0-9_./]+/testdata[a-z0-9_./]*)`")
)

// TestHops follows every pointer from our documents into the code.
func TestHops(t *testing.T) {
	symbols := map[string][]string{} // file → what it declares
	everywhere := map[string]bool{}
	for _, s := range sources(t) {
		symbols[s.path] = topLevel(s.file)
		for _, name := range symbols[s.path] {
			everywhere[name] = true
		}
	}
	walk(t, func(path string) {
		if filepath.Ext(path) != ".md" {
			return
		}
		for _, m := range hop.FindAllStringSubmatch(read(t, path), -1) {
			file, symbol := m[1], m[2]
			names, ok := symbols[file]
			switch {
			case !ok:
				t.Errorf("%s points to %s, which is not there", path, file)
			case !slices.Contains(names, symbol):
				t.Errorf("%s points to %s in %s, which is not there", path, symbol, file)
			}
		}
		for _, m := range named.FindAllStringSubmatch(read(t, path), -1) {
			if !everywhere[m[1]] {
				t.Errorf("%s names %s, which is not there", path, m[1])
			}
		}
		for _, m := range data.FindAllStringSubmatch(read(t, path), -1) {
			if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
				t.Errorf("%s points to %s, which is not there", path, m[1])
			}
		}
	})
}

// TestArchitecture asks that ARCHITECTURE.md tells its stories by hops.
func TestArchitecture(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, story := range []string{"Life of an offer", "Life of a task"} {
		_, rest, ok := strings.Cut(strings.ToLower(string(text)), "## "+strings.ToLower(story))
		section, _, _ := strings.Cut(rest, "\n## ")
		if hops := strings.Count(section, ".go:"); !ok || hops < 5 {
			t.Errorf("%q has %d hops into the code", story, hops)
		}
	}
}

// topLevel returns the names that a file declares, methods as Type.Method.
func topLevel(file *ast.File) []string {
	var names []string
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			names = append(names, receiver(d)+d.Name.Name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				for _, name := range declared(spec) {
					names = append(names, name.Name)
				}
			}
		}
	}
	return names
}

// receiver returns "Type." for a method of Type, "" for a function.
func receiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return ""
	}
	expr := fn.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.IndexListExpr:
			expr = e.X
		case *ast.Ident:
			return e.Name + "."
		default:
			return ""
		}
	}
}
