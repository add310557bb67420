package wire

import (
	"math"
	"strconv"
)

// appendDouble appends v as Mesos writes doubles: digits that read back as v,
// always with a fraction or an exponent; without exponent from
// 1e-6 up to, not including, 1e21. Infinities are strings, NaN is bare (it is
// not JSON, but Mesos's readers know it).
func appendDouble(b []byte, v float64) []byte {
	switch {
	case math.IsNaN(v):
		return append(b, "NaN"...)
	case math.IsInf(v, 1):
		return append(b, `"Infinity"`...)
	case math.IsInf(v, -1):
		return append(b, `"-Infinity"`...)
	case v == 0 && math.Signbit(v):
		return append(b, "-0.0"...)
	case v == math.Trunc(v) && math.Abs(v) < 1e15:
		return append(strconv.AppendInt(b, int64(v), 10), ".0"...)
	}
	if v < 0 {
		b = append(b, '-')
		v = -v
	}
	var space [24]byte
	digits, k := grisu(space[:0], v)
	return appendDecimal(b, digits, len(digits)+k)
}

// appendDecimal lays out the number 0.digits × 10^point.
func appendDecimal(b, digits []byte, point int) []byte {
	n := len(digits)
	switch {
	case n <= point && point <= 21:
		b = append(b, digits...)
		for range point - n {
			b = append(b, '0')
		}
		return append(b, ".0"...)
	case 0 < point && point <= 21:
		b = append(append(b, digits[:point]...), '.')
		return append(b, digits[point:]...)
	case -6 < point && point <= 0:
		b = append(b, "0."...)
		for range -point {
			b = append(b, '0')
		}
		return append(b, digits...)
	}
	b = append(b, digits[0])
	if n > 1 {
		b = append(append(b, '.'), digits[1:]...)
	}
	return strconv.AppendInt(append(b, 'e'), int64(point-1), 10)
}
