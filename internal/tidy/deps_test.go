package tidy

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/meseta-project/meseta"

// TestLayering holds every package's imports against layers and impure. Test
// files may import what they like.
func TestLayering(t *testing.T) {
	may, err := parse(layers)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packages(t) {
		if _, known := may[p.name]; !known {
			t.Errorf("%s has no place in the layering: name it in layers_test.go", p.name)
			continue
		}
		for _, imp := range p.imports {
			rel, ours := strings.CutPrefix(imp, module+"/")
			if ours && !may[p.name][rel] {
				t.Errorf("%s may not import %s", p.name, rel)
			}
			if may[pure][p.name] && !generated(p.name) && slices.Contains(impure, imp) {
				t.Errorf("%s is pure and may not import %s", p.name, imp)
			}
		}
	}
}

// TestPublicPackages holds what others build on to leaves.
func TestPublicPackages(t *testing.T) {
	for _, p := range packages(t) {
		if !slices.Contains(public, p.name) {
			continue
		}
		for _, imp := range p.imports {
			rel := strings.TrimPrefix(imp, module+"/")
			if strings.HasPrefix(rel, "internal/") && !slices.Contains(leaves, rel) {
				t.Errorf("%s is public and may not import %s", p.name, rel)
			}
		}
	}
}

func generated(path string) bool { return strings.HasPrefix(path, "api/") }

type pkg struct {
	name    string // path below the module
	imports []string
}

// packages lists the module's packages as the go command sees them.
func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Logf("%s", e.Stderr)
		}
		t.Fatal(err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, pkg{strings.TrimPrefix(p.ImportPath, module+"/"), p.Imports})
	}
}

// parse returns, for each name in rules, the names that it may import.
func parse(rules string) (map[string]map[string]bool, error) {
	below := map[string][]string{}
	for rule := range strings.SplitSeq(uncomment(rules), ";") {
		var lower []string
		for level := range strings.SplitSeq(rule, "<") {
			names := strings.FieldsFunc(level, func(r rune) bool { return strings.ContainsRune(", \t\n", r) })
			for _, name := range names {
				if name != "NONE" {
					below[name] = append(below[name], lower...)
				}
			}
			lower = names
		}
	}
	may := map[string]map[string]bool{}
	for name := range below {
		may[name] = map[string]bool{}
		reach(below, name, may[name])
		if may[name][name] {
			return nil, errors.New(name + " is below itself")
		}
	}
	return may, nil
}

func uncomment(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		b.WriteString(line + "\n")
	}
	return b.String()
}

// reach adds to met what lies below name.
func reach(below map[string][]string, name string, met map[string]bool) {
	for _, b := range below[name] {
		if !met[b] {
			met[b] = true
			reach(below, b, met)
		}
	}
}

func TestParse(t *testing.T) {
	may, err := parse(`
		# a comment
		NONE < a, b < G; # another
		G < c;
	`)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, imp string
		want      bool
	}{
		{"c", "a", true},
		{"c", "b", true},
		{"a", "b", false},
		{"a", "c", false},
		{"c", "c", false},
	} {
		if got := may[tc.name][tc.imp]; got != tc.want {
			t.Errorf("%s may import %s: %t, want %t", tc.name, tc.imp, got, tc.want)
		}
	}
	if _, err := parse("a < b; b < c < a"); err == nil {
		t.Error("a circle is not an error")
	}
}
