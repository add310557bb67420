package invariant

import "testing"

func TestCheck(t *testing.T) {
	Check(true, "nothing happens")

	defer func() {
		v, ok := recover().(*Violation)
		if !ok {
			t.Fatalf("the panic is not a *Violation")
		}
		const want = "invariant broken: offer is known offer_id=m-O1 state=3"
		if got := v.Error(); got != want {
			t.Errorf("Error() = %q, want %q", got, want)
		}
	}()
	Check(false, "offer is known", "offer_id", "m-O1", "state", 3)
	t.Error("Check(false) returned")
}

func TestCheckOne(t *testing.T) {
	offer := []string{"m-O1"}
	if n := testing.AllocsPerRun(100, func() { CheckOne(offer[0] != "", "offer has an ID", "offer_id", offer[0]) }); n != 0 {
		t.Errorf("CheckOne(true) allocates %v times", n)
	}
	defer func() {
		v, ok := recover().(*Violation)
		if want := "invariant broken: offer is known offer_id=m-O1"; !ok || v.Error() != want {
			t.Errorf("the panic is %v, want %q", v, want)
		}
	}()
	CheckOne(false, "offer is known", "offer_id", offer[0])
	t.Error("CheckOne(false) returned")
}
