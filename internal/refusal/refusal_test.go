package refusal

import (
	"errors"
	"fmt"
	"testing"
)

func TestReasonOf(t *testing.T) {
	refused := NotFoundf("no framework %s", "f-0001")
	for _, tc := range []struct {
		err  error
		want Reason
	}{
		{nil, 0},
		{errors.New("the disk is full"), 0},
		{refused, NotFound},
		{fmt.Errorf("teardown: %w", refused), NotFound},
		{errors.Join(errors.New("first"), Conflictf("busy")), Conflict},
	} {
		if got := ReasonOf(tc.err); got != tc.want {
			t.Errorf("ReasonOf(%v) = %v, want %v", tc.err, got, tc.want)
		}
	}
	if got, want := refused.Error(), "no framework f-0001"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}

func TestReasonsHaveNames(t *testing.T) {
	seen := map[string]Reason{}
	for r := Invalid; r <= Unavailable; r++ {
		name := r.String()
		if other, dup := seen[name]; dup || name == "" {
			t.Errorf("reason %d is called %q, as is reason %d", r, name, other)
		}
		seen[name] = r
	}
	if got, want := Reason(200).String(), "reason 200"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
}
