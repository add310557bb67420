package validate

import (
	"math"

	"github.com/meseta-project/meseta/internal/refusal"
)

// smallestNormal is the least float64 with full precision.
const smallestNormal = 0x1p-1022

// Scalar refuses an amount that is not a plain, non-negative number.
func Scalar(v float64) error {
	switch {
	case math.IsInf(v, 0):
		return refusal.Invalidf("Infinite values not supported")
	case math.IsNaN(v):
		return refusal.Invalidf("NaN not supported")
	case v != 0 && math.Abs(v) < smallestNormal:
		return refusal.Invalidf("Subnormal values not supported")
	case v < 0:
		return refusal.Invalidf("Negative values not supported")
	}
	return nil
}

// Weight refuses a role's weight that is not above zero.
func Weight(w float64) error {
	if !(w > 0) || math.IsInf(w, 0) {
		return refusal.Invalidf("Invalid weight '%s': Weights must be positive", number(w))
	}
	return nil
}
