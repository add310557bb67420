package wire

import (
	"math"
	"math/bits"
)

// Doubles are turned into digits by the Grisu2 algorithm (F. Loitsch, Printing
// Floating-Point Numbers Quickly and Accurately with Integers, 2010), since
// Mesos does so and its digits are not always those of strconv: they read back
// as the same double, but of a time stamp every second one has another last
// digit, and a few in ten thousand have one digit more.

// A float is f × 2^e.
type float struct {
	f uint64
	e int
}

// normalized returns a with the top bit of its significand set.
func (a float) normalized() float {
	shift := bits.LeadingZeros64(a.f)
	return float{a.f << shift, a.e - shift}
}

// times returns a×b, rounded half up to 64 bits.
func (a float) times(b float) float {
	high, low := bits.Mul64(a.f, b.f)
	return float{high + low>>63, a.e + b.e + 64}
}

// significand returns v, positive, as integer × 2^e.
func significand(v float64) float {
	const fraction = 52
	b := math.Float64bits(v)
	f, e := b&(1<<fraction-1), int(b>>fraction)
	if e == 0 {
		return float{f, 1 - 1075}
	}
	return float{f | 1<<fraction, e - 1075}
}

// boundaries returns the middles between v and its neighbours, with the same
// exponent.
func (v float) boundaries() (low, high float) {
	high = float{v.f<<1 + 1, v.e - 1}.normalized()
	low = float{v.f<<1 - 1, v.e - 1}
	if v.f == 1<<52 { // the neighbour below is half as far
		low = float{v.f<<2 - 1, v.e - 2}
	}
	return float{low.f << (low.e - high.e), high.e}, high
}

// power returns a power of ten that brings numbers with exponent e near 1, and
// k, so that it is 10^-k.
func power(e int) (p float, k int) {
	const log2 = 0.30102999566398114
	index := int(math.Ceil(float64(-61-e)*log2+347))>>3 + 1
	ten := index*8 - 348
	return float{powers[index], ten*217706>>16 - 63}, -ten
}

// grisu appends the decimal digits of v, positive and finite, and returns k:
// v is digits × 10^k.
func grisu(digits []byte, v float64) ([]byte, int) {
	w := significand(v)
	low, high := w.boundaries()
	p, k := power(high.e)
	scaled := w.normalized().times(p)
	low, high = low.times(p), high.times(p)
	low.f++
	high.f--
	g := generator{digits: digits, unit: -high.e, gap: high.f - scaled.f, delta: high.f - low.f}
	kappa := g.run(high.f)
	return g.digits, k + kappa
}

// A generator makes digits of a fixed-point number with unit fractional bits.
type generator struct {
	digits []byte
	unit   int
	gap    uint64 // from the number wanted up to the one the digits are made of
	delta  uint64 // from the lowest number that will do up to the same
}

// run makes the digits of high until what is left would do, and returns the
// power of ten that the last one counts.
func (g *generator) run(high uint64) int {
	whole, rest := high>>g.unit, high&(1<<g.unit-1)
	kappa := 0
	ten := uint64(1)
	for ; whole/ten >= 10; kappa++ {
		ten *= 10
	}
	for ; kappa >= 0; kappa-- {
		g.add(whole / ten)
		whole %= ten
		if left := whole<<g.unit + rest; left <= g.delta {
			g.round(left, ten<<g.unit, g.gap)
			return kappa
		}
		ten /= 10
	}
	return g.runFraction(rest)
}

// runFraction goes on behind the point.
func (g *generator) runFraction(rest uint64) int {
	one := uint64(1) << g.unit
	scale := uint64(1)
	for kappa := -1; ; kappa-- {
		rest *= 10
		g.delta *= 10
		g.add(rest >> g.unit)
		rest &= one - 1
		if scale *= 10; kappa <= -9 {
			scale = 0 // as Mesos's library has it: no more rounding
		}
		if rest < g.delta {
			g.round(rest, one, g.gap*scale)
			return kappa
		}
	}
}

// add appends a digit, but for leading zeros.
func (g *generator) add(digit uint64) {
	if digit != 0 || len(g.digits) > 0 {
		g.digits = append(g.digits, '0'+byte(digit))
	}
}

// round lowers the last digit while that comes nearer to the number wanted:
// rest is what the digits lack to the number they were made of, unit what one
// in the last digit counts, gap where the number wanted is.
func (g *generator) round(rest, unit, gap uint64) {
	for rest < gap && g.delta-rest >= unit && (rest+unit < gap || gap-rest > rest+unit-gap) {
		g.digits[len(g.digits)-1]--
		rest += unit
	}
}
