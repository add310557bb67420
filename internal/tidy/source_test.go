package tidy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// root is the checkout, as seen from this package.
const root = "../.."

const (
	maxFileLines = 800
	maxFuncLines = 70
)

// longFuncs are the functions allowed to be longer than maxFuncLines, by
// "file: name", with their lines. It only shrinks.
var longFuncs = map[string]int{}

// source is a parsed Go file of ours.
type source struct {
	path  string // below root
	fset  *token.FileSet
	file  *ast.File
	lines int
}

func (s source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s source) at(n ast.Node) string { return s.fset.Position(n.Pos()).String() }

// walk calls visit for every file of the checkout that people write.
func walk(t *testing.T, visit func(path string)) {
	t.Helper()
	paths, err := files()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		visit(path)
	}
}

var files = sync.OnceValues(func() ([]string, error) {
	skip := []string{".git", "bin", "node_modules", "testdata", ".clients"}
	var paths []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains(skip, d.Name()):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		rel, err := filepath.Rel(root, path)
		paths = append(paths, filepath.ToSlash(rel))
		return err
	})
	return paths, err
})

// sources returns the Go files, but for generated ones.
func sources(t *testing.T) []source {
	t.Helper()
	all, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var parsed = sync.OnceValues(func() ([]source, error) {
	paths, err := files()
	if err != nil {
		return nil, err
	}
	var all []source
	for _, path := range paths {
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, ".pb.go") {
			continue
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, filepath.Join(root, path), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		if !ast.IsGenerated(file) {
			all = append(all, source{path, fset, file, fset.File(file.Pos()).LineCount()})
		}
	}
	return all, nil
})

// TestPackageDocs asks each package for one doc comment, in one file.
func TestPackageDocs(t *testing.T) {
	docs := map[string][]string{}
	for _, s := range sources(t) {
		dir := filepath.Dir(s.path)
		if s.test() {
			continue
		}
		if _, met := docs[dir]; !met {
			docs[dir] = nil
		}
		if s.file.Doc != nil {
			docs[dir] = append(docs[dir], filepath.Base(s.path))
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(docs)) {
		if len(docs[dir]) != 1 && !generated(dir) {
			t.Errorf("%s has %d package doc comments, want one: %q", dir, len(docs[dir]), docs[dir])
		}
	}
}

// TestSizes holds files and functions to their limits, and longFuncs to what
// it allows: nothing in it may grow, nothing that has shrunk may stay.
func TestSizes(t *testing.T) {
	met := map[string]int{}
	for _, s := range sources(t) {
		if s.lines > maxFileLines {
			t.Errorf("%s has %d lines, more than %d", s.path, s.lines, maxFileLines)
		}
		if s.test() {
			continue
		}
		for _, decl := range s.file.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok {
				lines := s.fset.Position(fn.End()).Line - s.fset.Position(fn.Pos()).Line + 1
				if lines > maxFuncLines {
					met[s.path+": "+fn.Name.Name] = lines
				}
			}
		}
	}
	for name, lines := range met {
		if lines > longFuncs[name] {
			t.Errorf("%s has %d lines, more than %d", name, lines, max(maxFuncLines, longFuncs[name]))
		}
	}
	for name, lines := range longFuncs {
		if met[name] < lines {
			t.Errorf("%s has %d lines now: longFuncs still allows %d", name, met[name], lines)
		}
	}
}

var leftover = regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)

// TestLeftovers finds what was put off in comments, scripts and build files.
func TestLeftovers(t *testing.T) {
	for _, s := range sources(t) {
		for _, group := range s.file.Comments {
			for _, c := range group.List {
				if word := leftover.FindString(c.Text); word != "" {
					t.Errorf("%s: a comment says %s", s.at(c), word)
				}
			}
		}
	}
	walk(t, func(path string) {
		ext := filepath.Ext(path)
		if ext == ".go" || ext == ".sum" || ext == ".md" {
			return
		}
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Error(err)
		}
		if word := leftover.FindString(string(text)); word != "" {
			t.Errorf("%s says %s", path, word)
		}
	})
}

// TestSkips asks every skipped test for its reason.
func TestSkips(t *testing.T) {
	for _, s := range sources(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if ok && (sel.Sel.Name == "SkipNow" || sel.Sel.Name == "Skip" && len(call.Args) == 0 && s.test()) {
				t.Errorf("%s: a test is skipped without a reason", s.at(call))
			}
			return true
		})
	}
}

// TestAgentIsNotSlave asks that we say agent: Mesos's older word stays with
// its wire formats.
func TestAgentIsNotSlave(t *testing.T) {
	old := []string{"api/", "internal/wire/", "internal/libprocess/"}
	for _, s := range sources(t) {
		if s.test() || slices.ContainsFunc(old, func(dir string) bool { return strings.HasPrefix(s.path, dir) }) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			for _, name := range declared(n) {
				if strings.Contains(strings.ToLower(name.Name), "slave") {
					t.Errorf("%s: %s is called an agent here", s.at(name), name.Name)
				}
			}
			return true
		})
	}
}

// declared returns the names that n declares.
func declared(n ast.Node) []*ast.Ident {
	switch n := n.(type) {
	case *ast.FuncDecl:
		return []*ast.Ident{n.Name}
	case *ast.TypeSpec:
		return []*ast.Ident{n.Name}
	case *ast.ValueSpec:
		return n.Names
	case *ast.Field:
		return n.Names
	case *ast.AssignStmt:
		var names []*ast.Ident
		for _, e := range n.Lhs {
			if id, ok := e.(*ast.Ident); ok && n.Tok == token.DEFINE {
				names = append(names, id)
			}
		}
		return names
	}
	return nil
}
