package httpd

import (
	"testing"
	"time"
)

func TestTiming(t *testing.T) {
	var one Timing
	none := map[string]float64{}
	one.Metrics("x", none)
	for ms := range 3000 {
		one.Add(time.Duration(ms) * time.Millisecond)
	}
	got := map[string]float64{}
	one.Metrics("x", got)
	if len(none) != 0 || got["x"] != 2999 || got["x/count"] != 3000 || got["x/min"] != 2000 || got["x/max"] != 2999 || got["x/p50"] != 2499.5 {
		t.Errorf("%v %v", none, got)
	}
}
