package wire

import (
	"math"
	"math/big"
	"strconv"
	"testing"
)

func TestAppendDouble(t *testing.T) {
	for _, test := range []struct {
		v    float64
		want string
	}{
		{0, "0.0"},
		{math.Copysign(0, -1), "-0.0"},
		{1, "1.0"},
		{-4096, "-4096.0"},
		{0.1, "0.1"},
		{-0.5, "-0.5"},
		{123.456, "123.456"},
		{1e-6, "0.000001"},
		{1e-7, "1e-7"},
		{1.25e-7, "1.25e-7"},
		{999999999999999, "999999999999999.0"},
		{1e15, "1000000000000000.0"},
		{1e20, "100000000000000000000.0"},
		{1e21, "1e21"},
		{1.5e21, "1.5e21"},
		{1e100, "1e100"},
		{math.MaxFloat64, "1.7976931348623157e308"},
		{math.SmallestNonzeroFloat64, "5e-324"},
		{2.2250738585072014e-308, "2.2250738585072014e-308"},
		{1795190309.8676622, "1795190309.8676623"}, // not what strconv says
		{0.024617984000000027, "0.024617984000000028"},
		{math.Inf(1), `"Infinity"`},
		{math.Inf(-1), `"-Infinity"`},
		{math.NaN(), "NaN"},
	} {
		if got := string(appendDouble(nil, test.v)); got != test.want {
			t.Errorf("%v: got %s, want %s", test.v, got, test.want)
		}
	}
}

func FuzzAppendDouble(f *testing.F) {
	for _, v := range []float64{0, 1, 0.1, 1e21, 1e-7, 5e-324, math.MaxFloat64, 1 << 53, 1795190309.8676622} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v float64) {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			t.Skip("not written as a number")
		}
		text := string(appendDouble(nil, v))
		back, err := strconv.ParseFloat(text, 64)
		if err != nil || back != v || math.Signbit(back) != math.Signbit(v) {
			t.Errorf("%v was written as %s, which is %v (%v)", v, text, back, err)
		}
		if len(text) > 26 {
			t.Errorf("%s is long", text)
		}
	})
}

// TestPowers computes the table anew.
func TestPowers(t *testing.T) {
	for i, got := range powers {
		ten := i*8 - 348
		p := new(big.Float).SetPrec(2000).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(ten, -ten))), nil))
		if ten < 0 {
			p.Quo(big.NewFloat(1).SetPrec(2000), p)
		}
		p.SetPrec(64).SetMode(big.ToNearestEven)
		p.SetMantExp(p, 64-p.MantExp(nil))
		if want, _ := p.Uint64(); got != want {
			t.Errorf("10^%d: %x, want %x", ten, got, want)
		}
	}
}
