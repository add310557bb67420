package masterd

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// TestVigil: a short pause is nothing; a long one is told of until it is settled,
// whoever looked first.
func TestVigil(t *testing.T) {
	var now time.Duration
	v := &vigil{clock: func() time.Duration { return now }}
	for _, x := range []struct {
		after, want time.Duration
		settle      bool
	}{
		{time.Hour, 0, false}, // the first look
		{nap, 0, false},
		{nap + 1, nap + 1, false},
		{1, nap + 1, false},
		{2 * nap, 3*nap + 1, true},
		{1, 0, false},
	} {
		now += x.after
		if got := v.look(); got != x.want {
			t.Errorf("after %v: slept %v, want %v", now, got, x.want)
		}
		if x.settle {
			v.settle()
		}
	}
}

// TestSure: a master that slept goes on only when the election says that it leads.
func TestSure(t *testing.T) {
	own, other := masterInfo("own", 5050), masterInfo("other", 5050)
	for what, x := range map[string]struct {
		slept time.Duration
		seen  heralds
		want  error
	}{
		"awake":        {0, heralds{other}, nil},
		"leads still":  {time.Minute, heralds{own}, nil},
		"is no leader": {time.Minute, heralds{nil, other, own}, errLost},
	} {
		s := &Server{log: slog.New(slog.DiscardHandler), cfg: Config{Info: &mesos.MasterInfo{Id: own.Id}, Elector: x.seen}}
		var now time.Duration
		s.vigil.clock = func() time.Duration { return now }
		s.vigil.look()
		now += x.slept
		if err := s.sure(t.Context()); !errors.Is(err, x.want) {
			t.Errorf("%s: %v", what, err)
		} else if asleep := s.vigil.look() > 0; asleep != (err != nil) {
			t.Errorf("%s: settled: %v", what, !asleep)
		}
	}
}
