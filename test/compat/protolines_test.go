package compat

import (
	"fmt"
	"testing"
)

func TestLines(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"", "[]"},
		{"\x08\x01", "[1 1]"},
		{"\x0a\x03abc", `[1 "abc"]`},
		{"\x12\x04\x0a\x02\x00\x01", `[2 { 2.1 "\x00\x01"]`},
		{"\x12\x05\x0a\x03abc\x18\x07", `[2 { 2.1 "abc" 3 7]`},
		{"\x09\x00\x00\x00\x00\x00\x00\xf0\x3f", "[1 1]"},
		{"\x0a\x10\x08\x01\x08\x01\x08\x01\x08\x01\x08\x01\x08\x01\x08\x01\x08\x01", `[1 "\b\x01\b\x01\b\x01\b\x01\b\x01\b\x01\b\x01\b\x01"]`},
	} {
		lines, err := Lines([]byte(test.in))
		if got := fmt.Sprint(lines); err != nil || got != test.want {
			t.Errorf("%q: %v %v, want %v", test.in, got, err, test.want)
		}
	}
	for _, in := range []string{"\x08", "\x0a\x03ab", "\x09abc", "\x07", "\x00"} {
		if lines, err := Lines([]byte(in)); err == nil {
			t.Errorf("%q: %v", in, lines)
		}
	}
}
