package master

import (
	"strings"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
)

// TestManyErrands: while the store takes its time, only so many calls of operators
// wait for it. Those that were taken are answered all the same, and then there is
// room again.
func TestManyErrands(t *testing.T) {
	const more = 3
	w := newWorld(Config{AllocationBudget: 1000})
	call := func() {
		w.operatorCall(&masterpb.Call{Type: masterpb.Call_UPDATE_WEIGHTS.Enum(), UpdateWeights: &masterpb.Call_UpdateWeights{
			WeightInfos: []*mesos.WeightInfo{{Role: new("ops"), Weight: new(float64(2 + w.requests))}},
		}})
	}
	answers := func(done, refused int) {
		t.Helper()
		text := w.out.String()
		w.out.Reset()
		if got := strings.Count(text, "reply: done"); got != done {
			t.Errorf("%d done, want %d", got, done)
		}
		if got := strings.Count(text, "The master is busy with 64 calls of operators; try again in a moment"); got != refused {
			t.Errorf("%d refused, want %d\n%s", got, refused, text)
		}
	}
	w.hold = true
	for range maxErrands + more {
		call()
	}
	answers(0, more)
	w.hold = false
	w.commit()
	answers(maxErrands, 0)
	call()
	answers(1, 0)
	if len(w.m.undertaken) > 0 {
		t.Errorf("%d calls are never answered", len(w.m.undertaken))
	}
}
