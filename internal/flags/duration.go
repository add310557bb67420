package flags

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// durationUnits are Mesos's units of time, the largest first.
var durationUnits = []struct {
	name string
	unit time.Duration
}{
	{"weeks", week},
	{"days", day},
	{"hrs", time.Hour},
	{"mins", time.Minute},
	{"secs", time.Second},
	{"ms", time.Millisecond},
	{"us", time.Microsecond},
	{"ns", time.Nanosecond},
}

// ParseDuration reads a length of time as Mesos writes it: a decimal number
// without a sign and a unit, one of ns, us, ms, secs, mins, hrs, days and
// weeks, with nothing between them: "1.5mins".
func ParseDuration(text string) (time.Duration, error) {
	digits := len(text) - len(strings.TrimLeft(text, "0123456789."))
	number, unit := text[:digits], text[digits:]
	value, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no duration: want a number and a unit, such as 10secs", text)
	}
	for _, u := range durationUnits {
		if u.name != unit {
			continue
		}
		nanos := value * float64(u.unit)
		if nanos >= math.MaxInt64 {
			return 0, fmt.Errorf("the duration %q is too long: the limit is 15250weeks", text)
		}
		return time.Duration(nanos), nil
	}
	return 0, fmt.Errorf("%q has no unit of time: want one of ns, us, ms, secs, mins, hrs, days, weeks", text)
}

// FormatDuration writes d as Mesos does: in the largest unit that does not
// exceed it, or in the next smaller one if only that gives a whole number:
// "1mins" and "90secs", but "1.0001secs".
func FormatDuration(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "-", -max(d, -math.MaxInt64)
	}
	for i, u := range durationUnits {
		if d < u.unit {
			continue
		}
		if d%u.unit != 0 && d%durationUnits[i+1].unit == 0 {
			u = durationUnits[i+1]
		}
		return sign + strconv.FormatFloat(float64(d)/float64(u.unit), 'g', 15, 64) + u.name
	}
	return "0ns"
}
