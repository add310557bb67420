package role

import (
	"slices"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/internal/refusal"
)

func TestValidate(t *testing.T) {
	for _, name := range []string{"*", "a", "eng/web", "a/b/c", "a-b", "...", "a.b", "ü", "*a", "a/b-", "\x01"} {
		if err := Validate(name); err != nil {
			t.Errorf("Validate(%q) = %v, want nil", name, err)
		}
	}
	for _, tc := range []struct{ name, want string }{
		{"", "empty"},
		{"/a", "start with a slash"},
		{"/", "start with a slash"},
		{"a/", "end with a slash"},
		{"a//b", "adjacent slashes"},
		{".", "'.'"},
		{"a/./b", "'.'"},
		{"..", "'..'"},
		{"a/..", "'..'"},
		{"a/*", "'*'"},
		{"*/a", "'*'"},
		{"-a", "dash"},
		{"a/-b", "dash"},
		{"a b", "whitespace"},
		{"a\tb", "whitespace"},
		{"a/b\x7f", "whitespace"},
	} {
		err := Validate(tc.name)
		if refusal.ReasonOf(err) != refusal.Invalid || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("Validate(%q) = %v, want an invalid role: %s", tc.name, err, tc.want)
		}
	}
}

func TestHierarchy(t *testing.T) {
	for _, tc := range []struct {
		name, ancestor string
		want           bool
	}{
		{"a/b", "a", true},
		{"a/b/c", "a", true},
		{"a", "a", false},
		{"ab", "a", false},
		{"ab/c", "a", false},
		{"a", "a/b", false},
		{"a", "*", false},
	} {
		if got := IsStrictSubrole(tc.name, tc.ancestor); got != tc.want {
			t.Errorf("IsStrictSubrole(%q, %q) = %t, want %t", tc.name, tc.ancestor, got, tc.want)
		}
	}
	if got, want := slices.Collect(Ancestors("a/b/c")), []string{"a/b", "a"}; !slices.Equal(got, want) {
		t.Errorf("Ancestors = %q, want %q", got, want)
	}
	for range Ancestors("*") {
		t.Error("* has an ancestor")
	}
	if got := Top("a/b/c"); got != "a" {
		t.Errorf("Top = %q, want a", got)
	}
}

// FuzzHierarchy holds the functions against each other on any text.
func FuzzHierarchy(f *testing.F) {
	for _, seed := range []string{"*", "a", "a/b/c", "/", "a//b", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		valid := Validate(name) == nil
		last := name
		for a := range Ancestors(name) {
			if !IsStrictSubrole(name, a) || !IsStrictSubrole(last, a) {
				t.Errorf("%q is an ancestor of %q, which is not below it", a, name)
			}
			if valid && Validate(a) != nil {
				t.Errorf("%q is valid and its ancestor %q is not", name, a)
			}
			last = a
		}
		if last != Top(name) {
			t.Errorf("the last ancestor of %q is %q, its top is %q", name, last, Top(name))
		}
	})
}
