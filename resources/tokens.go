package resources

import (
	"iter"
	"slices"
	"strings"
)

// fields yields the parts of text between any of the separators, without
// empty ones.
func fields(text, separators string) iter.Seq[string] {
	return strings.FieldsFuncSeq(text, func(c rune) bool {
		return strings.ContainsRune(separators, c)
	})
}

func tokens(text, separators string) []string { return slices.Collect(fields(text, separators)) }

// trim takes off the white space around text.
func trim(text string) string { return strings.Trim(text, " \t\n\r") }
