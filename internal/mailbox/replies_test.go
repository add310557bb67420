package mailbox_test

import (
	"sync"
	"testing"

	"github.com/meseta-project/meseta/internal/mailbox"
)

func TestReplies(t *testing.T) {
	var r mailbox.Replies[uint64, string]
	first, a := r.Ask()
	second, b := r.Ask()
	if first == 0 || first == second {
		t.Fatalf("numbers %d and %d", first, second)
	}
	r.Answer(second, "two")
	r.Answer(first, "one")
	r.Answer(first, "again")
	r.Answer(0, "nobody asked")
	if got := <-a; got != "one" {
		t.Errorf("first answer %q", got)
	}
	if got := <-b; got != "two" {
		t.Errorf("second answer %q", got)
	}
	third, _ := r.Ask()
	r.Forget(third)
	r.Answer(third, "too late")
	if n := r.Len(); n != 0 {
		t.Errorf("%d questions are left", n)
	}
}

func TestRepliesConcurrently(t *testing.T) {
	var r mailbox.Replies[uint64, uint64]
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			id, answer := r.Ask()
			go r.Answer(id, id)
			if got := <-answer; got != id {
				t.Errorf("answer %d to question %d", got, id)
			}
		})
	}
	all.Wait()
}
