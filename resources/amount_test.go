package resources_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/meseta-project/meseta/resources"
)

func TestFromFloat(t *testing.T) {
	for _, test := range []struct {
		v    float64
		want resources.Amount
	}{
		{0, 0},
		{1, 1000},
		{0.1, 100},
		{0.0004, 0},
		{0.0005, 1},
		{-0.0005, -1},
		{1.0005, 1001},
		{2.9996, 3000},
		{math.NaN(), 0},
		{math.Inf(1), math.MaxInt64 / 100},
		{math.Inf(-1), -math.MaxInt64 / 100},
	} {
		if got := resources.FromFloat(test.v); got != test.want {
			t.Errorf("FromFloat(%g) = %d, want %d", test.v, got, test.want)
		}
	}
}

func TestAmountString(t *testing.T) {
	for _, test := range []struct {
		a    resources.Amount
		want string
	}{
		{0, "0"},
		{1, "0.001"},
		{10, "0.01"},
		{500, "0.5"},
		{1000, "1"},
		{1230, "1.23"},
		{-1, "-0.001"},
		{-1500, "-1.5"},
		{4096000, "4096"},
		{999999999999999, "999999999999.999"},
		{1234567890123456, "1234567890123.46"},
		{1e18, "1e+15"},
	} {
		if got := test.a.String(); got != test.want {
			t.Errorf("%d is printed %q, want %q", int64(test.a), got, test.want)
		}
	}
}

func TestAmountRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := resources.Amount(rapid.Int64Range(-1<<53, 1<<53).Draw(t, "a"))
		if got := resources.FromFloat(a.Float64()); got != a {
			t.Fatalf("%d became %d", a, got)
		}
	})
}

// Absurd amounts saturate; they do not turn into their opposite.
func TestSumsDoNotOverflow(t *testing.T) {
	one := must("x:9e13")
	sum := one
	for range 200 {
		sum = sum.Add(one)
	}
	if !sum.Contains(one) || sum.Scalar("x") != math.MaxInt64 || sum.Quantities().Get("x") != math.MaxInt64 {
		t.Errorf("the sum is %s", sum)
	}
	all := must("ports:[0-18446744073709551615]")
	if got := all.Add(all).Quantities().Get("ports"); got != math.MaxInt64 {
		t.Errorf("there are %s ports", got)
	}
}
