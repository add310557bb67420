package validate

import (
	"math"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/role"
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

// Weights refuses weights of what are no roles and those not above zero.
// White space around a role is overlooked.
func Weights(infos []*mesos.WeightInfo) error {
	for _, info := range infos {
		name := strings.TrimSpace(info.GetRole())
		if err := role.Validate(name); err != nil {
			return refusal.Invalidf("Failed to validate update weights request JSON: Invalid role '%s': %s", name, err)
		}
		w, must := info.GetWeight(), ""
		switch {
		case !(w > 0):
			must = "positive"
		case math.IsInf(w, 0):
			must = "finite"
		}
		if must != "" {
			return refusal.Invalidf("Failed to validate update weights request JSON for role '%s':"+
				" Invalid weight '%s': Weights must be %s", name, number(w), must)
		}
	}
	return nil
}
