package flags

import (
	"strings"

	"github.com/spf13/pflag"
)

// nearest returns the name in fs that given was meant to be, or "" if none is
// near: few letters differ, or it is written with dashes.
func nearest(given string, fs *pflag.FlagSet) string {
	best, limit := "", 1+len(given)/4
	plain := strings.ReplaceAll(given, "-", "_")
	fs.VisitAll(func(f *pflag.Flag) {
		distance := min(edits(given, f.Name, limit), edits(plain, f.Name, limit))
		if distance < limit || distance == limit && best == "" {
			best, limit = f.Name, distance
		}
	})
	return best
}

// edits returns how many letters must be added, dropped or replaced to make b
// of a, or more than limit if that many do not do.
func edits(a, b string, limit int) int {
	if max(len(a), len(b))-min(len(a), len(b)) > limit {
		return limit + 1
	}
	row := make([]int, len(b)+1) // the edits from a[:i] to each b[:j]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
