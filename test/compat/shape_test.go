package compat

import (
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	for _, test := range []struct {
		name      string
		want, got []string // JSON texts
		rules     Rules
		diff      string
	}{
		{name: "alike", want: []string{`{"a":1,"b":[{"c":1.5}]}`}, got: []string{`{"a":2,"b":[]}`}},
		{name: "missing", want: []string{`{"a":1,"b":2}`}, got: []string{`{"a":1}`}, diff: "b: is missing"},
		{
			name: "missing deep", want: []string{`{"a":[{"b":1,"c":2}]}`}, got: []string{`{"a":[{"b":1,"c":2},{"b":1}]}`},
			diff: "a[].c: is missing in 1 of 2",
		},
		{name: "optional", want: []string{`[{"a":1},{"a":1,"b":2}]`}, got: []string{`[{"a":1}]`}},
		{name: "extra", want: []string{`{"a":1}`}, got: []string{`{"a":1,"z":{}}`}, diff: "z: is there, in Mesos it is not"},
		{
			name: "allowed", want: []string{`{"a":1,"m":1}`}, got: []string{`{"a":1,"z":{}}`},
			rules: Rules{Missing: []string{"m"}, Extra: []string{"z"}},
		},
		{name: "kind", want: []string{`{"a":1.0}`}, got: []string{`{"a":1}`}, diff: "a: is integer, in Mesos double"},
		{name: "kinds", want: []string{`{"a":"x"}`, `{"a":[]}`}, got: []string{`{"a":null}`}, diff: "a: is null, in Mesos array or string"},
		{
			name: "order", want: []string{`{"a":1,"b":2,"c":3}`}, got: []string{`{"c":1,"a":2,"b":3}`},
			diff: "the whole: c comes before a, in Mesos after it",
		},
		{
			name: "merged order", want: []string{`[{"a":1,"c":3},{"a":1,"b":2,"c":3}]`}, got: []string{`{"a":1,"b":2,"c":3}`},
			diff: "the whole: is object, in Mesos array",
		},
		{name: "order of optional fields", want: []string{`{"a":1,"c":3}`, `{"a":1,"b":2,"c":3}`}, got: []string{`{"a":1,"b":2,"c":3}`}},
		{name: "order never seen", want: []string{`[{"a":1,"b":2},{"a":1,"c":3}]`}, got: []string{`[{"a":1,"c":3},{"a":1,"b":2}]`}},
		{name: "open", want: []string{`{"r":{"x":1.0}}`}, got: []string{`{"r":{"y":1.0}}`}, rules: Rules{Open: []string{"r"}}},
	} {
		want, got := shapes(t, test.want), shapes(t, test.got)
		if diff := strings.Join(Diff(want, got, test.rules), "; "); diff != test.diff {
			t.Errorf("%s: %q, want %q", test.name, diff, test.diff)
		}
	}
}

func shapes(t *testing.T, texts []string) *Shape {
	t.Helper()
	var bytes [][]byte
	for _, text := range texts {
		bytes = append(bytes, []byte(text))
	}
	shape, err := ShapeOf(bytes...)
	if err != nil {
		t.Fatal(err)
	}
	return shape
}

func TestShapeOfBroken(t *testing.T) {
	for _, text := range []string{``, `{`, `[1`, `{"a"}`, `{} {}`} {
		if shape, err := ShapeOf([]byte(text)); err == nil {
			t.Errorf("%q has the shape %v", text, shape)
		}
	}
}
