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
