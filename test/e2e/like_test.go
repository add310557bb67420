package e2e

import "testing"

func TestLike(t *testing.T) {
	for _, test := range []struct {
		text, pattern string
		want          bool
	}{
		{"abc", "abc", true},
		{"abcd", "abc", false},
		{"abc", "a…", true},
		{"abc", "a…c", true},
		{"abc", "a…d", false},
		{"a1b2c", "a…b…c", true},
		{"a1c", "a…b…c", false},
		{"", "", true},
		{"x", "", false},
		{"anything", "…", true},
	} {
		if got := like(test.text, test.pattern); got != test.want {
			t.Errorf("like(%q, %q) = %v", test.text, test.pattern, got)
		}
	}
}
