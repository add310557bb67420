package resources

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// A Range is the numbers from Begin to End, both included. Begin is never
// above End.
type Range struct{ Begin, End uint64 }

// Ranges is a set of numbers, such as ports, as ranges in rising order between
// which at least one number is missing. It is not changed once made.
type Ranges []Range

// coalesce sorts rs, which it changes, and joins what overlaps or adjoins.
// Inverted ranges hold nothing and go.
func coalesce(rs []Range) Ranges {
	rs = slices.DeleteFunc(rs, func(r Range) bool { return r.Begin > r.End })
	if !slices.IsSortedFunc(rs, byBegin) {
		slices.SortFunc(rs, byBegin)
	}
	out := rs[:0]
	for _, r := range rs {
		out = appendRange(out, r)
	}
	return out
}

func byBegin(a, b Range) int { return cmp.Compare(a.Begin, b.Begin) }

// appendRange adds r, which begins no earlier than the last of rs.
func appendRange(rs []Range, r Range) []Range {
	if n := len(rs); n > 0 && (r.Begin <= rs[n-1].End || r.Begin == rs[n-1].End+1) {
		rs[n-1].End = max(rs[n-1].End, r.End)
		return rs
	}
	return append(rs, r)
}

// union returns the numbers in a or b.
func (a Ranges) union(b Ranges) Ranges {
	out := make([]Range, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0].Begin <= b[0].Begin {
			out, a = appendRange(out, a[0]), a[1:]
		} else {
			out, b = appendRange(out, b[0]), b[1:]
		}
	}
	for _, r := range a {
		out = appendRange(out, r)
	}
	for _, r := range b {
		out = appendRange(out, r)
	}
	return out
}

// minus returns the numbers in a that are not in b.
func (a Ranges) minus(b Ranges) Ranges {
	out := make([]Range, 0, len(a)+1)
	for _, r := range a {
		for len(b) > 0 && b[0].End < r.Begin {
			b = b[1:]
		}
		out = appendRest(out, r, b)
	}
	return out
}

// appendRest adds to out what is left of r without the ranges of b, none of
// which ends before r begins.
func appendRest(out []Range, r Range, b Ranges) []Range {
	for _, cut := range b {
		if cut.Begin > r.End {
			break
		}
		if cut.Begin > r.Begin {
			out = append(out, Range{r.Begin, cut.Begin - 1})
		}
		if cut.End >= r.End {
			return out
		}
		r.Begin = cut.End + 1
	}
	return append(out, r)
}

// contains reports whether every number of b is in a.
func (a Ranges) contains(b Ranges) bool {
	for _, r := range b {
		for len(a) > 0 && a[0].End < r.Begin {
			a = a[1:]
		}
		if len(a) == 0 || r.Begin < a[0].Begin || r.End > a[0].End {
			return false
		}
	}
	return true
}

// size returns how many numbers there are, as an amount.
func (a Ranges) size() Amount {
	var n Amount
	for _, r := range a {
		n = n.plus(units(r.End - r.Begin))
		n = n.plus(Unit)
	}
	return n
}

// units returns n whole units, or as many as fit.
func units(n uint64) Amount {
	if n > uint64(math.MaxInt64/Unit) {
		return math.MaxInt64
	}
	return Amount(n) * Unit
}

// String returns rs as Mesos prints it: "[31000-32000, 33000-33000]".
func (a Ranges) String() string {
	var b strings.Builder
	b.WriteByte('[')
	for i, r := range a {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.FormatUint(r.Begin, 10))
		b.WriteByte('-')
		b.WriteString(strconv.FormatUint(r.End, 10))
	}
	b.WriteByte(']')
	return b.String()
}
