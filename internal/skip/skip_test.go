package skip

import "testing"

// recorder notes how a test was ended.
type recorder struct {
	testing.TB
	skipped, failed bool
}

func (r *recorder) Helper()      {}
func (r *recorder) Skip(...any)  { r.skipped = true }
func (r *recorder) Fatal(...any) { r.failed, r.TB = true, nil; panic(r) }

func TestLacking(t *testing.T) {
	for ci, fails := range map[string]bool{"": false, "true": true, "1": true} {
		t.Setenv("CI", ci)
		r := &recorder{}
		func() {
			defer func() { _ = recover() }()
			Lacking(r, "a moon")
		}()
		if r.failed != fails || r.skipped == fails {
			t.Errorf("CI=%q: failed %t, skipped %t", ci, r.failed, r.skipped)
		}
	}
}
