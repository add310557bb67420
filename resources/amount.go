package resources

import (
	"math"
	"strconv"
	"strings"
)

// Amount is a quantity of a resource in thousandths of its unit: CPUs, GPUs,
// megabytes of memory or disk, or plain units of what a framework or operator
// named. Fixed point keeps sums exact, so what was added can be taken away
// again without a rest.
type Amount int64

// Unit is one whole unit.
const Unit Amount = 1000

// maxAmount is the most that an amount read from a float can be. A hundred
// times as much still fits, so that only sums over absurd clusters saturate.
const maxAmount Amount = math.MaxInt64 / 100

// FromFloat returns v, rounded half away from zero to three decimals. What is
// not a number is 0; what does not fit is the nearest that does.
func FromFloat(v float64) Amount {
	switch f := math.Round(v * float64(Unit)); {
	case f != f:
		return 0
	case f >= float64(maxAmount):
		return maxAmount
	case f <= -float64(maxAmount):
		return -maxAmount
	default:
		return Amount(f)
	}
}

// Float64 returns a as the wire carries it. FromFloat returns a again for
// every amount below 2^53.
func (a Amount) Float64() float64 {
	return float64(a/Unit) + float64(a%Unit)/float64(Unit)
}

// maxDigits is how many significant digits are printed: as many as a float64
// holds faithfully.
const maxDigits = 15

// String returns a in at most fifteen significant digits, without trailing
// zeros, as Mesos prints scalars: "0.5", "4096".
func (a Amount) String() string {
	if a <= -1e15 || a >= 1e15 {
		return strconv.FormatFloat(a.Float64(), 'g', maxDigits, 64)
	}
	text := strconv.FormatInt(int64(a/Unit), 10)
	rest := int64(a % Unit)
	if rest == 0 {
		return text
	}
	if rest < 0 {
		rest = -rest
		if a > -Unit {
			text = "-0"
		}
	}
	thousandths := strconv.FormatInt(int64(Unit)+rest, 10)[1:]
	return text + "." + strings.TrimRight(thousandths, "0")
}

// plus returns a+b, or the nearest amount there is.
func (a Amount) plus(b Amount) Amount {
	sum := a + b
	switch {
	case a > 0 && b > 0 && sum < 0:
		return math.MaxInt64
	case a < 0 && b < 0 && sum >= 0:
		return math.MinInt64
	}
	return sum
}
