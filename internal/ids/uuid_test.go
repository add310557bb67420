package ids

import (
	"math/rand/v2"
	"regexp"
	"testing"
)

func TestNewUUID(t *testing.T) {
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	r, seen := rand.New(rand.NewPCG(1, 2)), map[UUID]bool{}
	for range 1000 {
		u := NewUUID(r)
		if !form.MatchString(u.String()) || seen[u] {
			t.Fatalf("bad or repeated UUID %s", u)
		}
		seen[u] = true
	}
}
