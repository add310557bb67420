package resources

import "testing"

func TestAddSub(t *testing.T) {
	a := MustParse("cpus:4;mem:1024;ports:[31000-32000];disk(eng):100;x:{b,a}")
	b := MustParse("cpus:1.5;mem:24;ports:[31000-31009,31500-31500]")
	if !a.Sub(b).Add(b).Equal(a) || !a.Contains(b) {
		t.Fatal()
	}
}
