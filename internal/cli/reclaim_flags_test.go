package cli

import (
	"maps"
	"testing"
	"time"
)

func TestReclaimFlags(t *testing.T) {
	for _, test := range []struct {
		args  []string
		after time.Duration
		roles map[string]time.Duration
		fails bool
	}{
		{nil, 0, nil, false},
		{[]string{"--reclaim"}, time.Minute, nil, false},
		{[]string{"--reclaim", "--reclaim_after=10secs", "--reclaim_roles=a=1mins,b=off"}, 10 * time.Second, map[string]time.Duration{"a": time.Minute, "b": 0}, false},
		{[]string{"--reclaim_roles=a=5secs"}, 0, map[string]time.Duration{"a": 5 * time.Second}, false},
		{[]string{"--reclaim_after=0secs"}, 0, nil, true},
		{[]string{"--reclaim_roles=a"}, 0, nil, true},
		{[]string{"--reclaim_roles=a/b=5secs"}, 0, nil, true},
		{[]string{"--reclaim_roles=a=-5secs"}, 0, nil, true},
		{[]string{"--reclaim_roles=a=soon"}, 0, nil, true},
		{[]string{"--reclaim_roles=..=5secs"}, 0, nil, true},
	} {
		f := newMasterFlags()
		_, err := f.Set.Parse(append(test.args, "--registry=in_memory"), nil)
		got := f.core().Reclaim
		if (err != nil) != test.fails || err == nil && (got.After != test.after || !maps.Equal(got.Roles, test.roles)) {
			t.Errorf("%v: %+v, %v", test.args, got, err)
		}
	}
}
