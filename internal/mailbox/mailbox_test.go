package mailbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meseta-project/meseta/internal/mailbox"
)

func TestTakeReturnsAllInOrder(t *testing.T) {
	m := mailbox.New[int](10)
	for round := range 5 {
		for i := range 10 {
			if !m.TryPut(round*10 + i) {
				t.Fatalf("no room for %d", i)
			}
		}
		if m.TryPut(-1) {
			t.Fatal("put into a full mailbox")
		}
		batch, err := m.Take(t.Context(), time.Time{})
		if err != nil || len(batch) != 10 || batch[0] != round*10 || !slices.IsSorted(batch) {
			t.Fatalf("round %d: %v %v", round, batch, err)
		}
	}
	if m.Len() != 0 || m.Cap() != 10 {
		t.Errorf("%d of %d", m.Len(), m.Cap())
	}
}

func TestTakeReturnsAtWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mailbox.New[int](1)
		for range 3 { // the timer is used again
			start := time.Now()
			batch, err := m.Take(t.Context(), start.Add(time.Hour))
			if len(batch) != 0 || err != nil || time.Since(start) != time.Hour {
				t.Errorf("%v %v after %v", batch, err, time.Since(start))
			}
		}
		start := time.Now()
		if batch, err := m.Take(t.Context(), start.Add(-time.Second)); len(batch) != 0 || err != nil || time.Since(start) != 0 {
			t.Errorf("wake in the past: %v %v after %v", batch, err, time.Since(start))
		}
	})
}

func TestTakeWaitsForAnItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mailbox.New[string](4)
		go func() {
			time.Sleep(time.Minute) // virtual
			m.TryPut("late")
		}()
		start := time.Now()
		batch, err := m.Take(t.Context(), start.Add(time.Hour))
		if !slices.Equal(batch, []string{"late"}) || err != nil || time.Since(start) != time.Minute {
			t.Errorf("%v %v after %v", batch, err, time.Since(start))
		}
	})
}

func TestPutWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mailbox.New[int](2)
		var wg sync.WaitGroup
		for i := range 7 {
			wg.Go(func() {
				if err := m.Put(t.Context(), i); err != nil {
					t.Error(err)
				}
			})
		}
		var got []int
		for len(got) < 7 {
			synctest.Wait()
			batch, err := m.Take(t.Context(), time.Time{})
			if err != nil || len(batch) > 2 {
				t.Fatal(batch, err)
			}
			got = append(got, batch...)
		}
		wg.Wait()
		if slices.Sort(got); !slices.Equal(got, []int{0, 1, 2, 3, 4, 5, 6}) {
			t.Error(got)
		}
	})
}

func TestContextsEndTheWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mailbox.New[int](1)
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(why)
		if _, err := m.Take(ctx, time.Time{}); !errors.Is(err, why) {
			t.Errorf("take: %v", err)
		}
		if err := m.Put(ctx, 1); err != nil {
			t.Errorf("put with room: %v", err)
		}
		if err := m.Put(ctx, 2); !errors.Is(err, why) {
			t.Errorf("put: %v", err)
		}
		if batch, err := m.Take(ctx, time.Time{}); len(batch) != 1 || err != nil {
			t.Errorf("take of what is there: %v %v", batch, err)
		}
	})
}

func TestCloseLeavesWhatIsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mailbox.New[int](1)
		m.TryPut(1)
		put := make(chan error)
		go func() { put <- m.Put(t.Context(), 2) }()
		synctest.Wait()
		m.Close()
		m.Close()
		if err := <-put; !errors.Is(err, mailbox.ErrClosed) {
			t.Errorf("waiting put: %v", err)
		}
		if m.TryPut(3) {
			t.Error("put after close")
		}
		if batch, err := m.Take(t.Context(), time.Time{}); len(batch) != 1 || err != nil {
			t.Errorf("%v %v", batch, err)
		}
		for range 2 {
			if _, err := m.Take(t.Context(), time.Time{}); !errors.Is(err, mailbox.ErrClosed) {
				t.Errorf("%v", err)
			}
		}
	})
}

func TestCloseEndsTheTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mailbox.New[int](1)
		took := make(chan error)
		go func() { _, err := m.Take(t.Context(), time.Time{}); took <- err }()
		synctest.Wait()
		m.Close()
		if err := <-took; !errors.Is(err, mailbox.ErrClosed) {
			t.Errorf("%v", err)
		}
	})
}

// What one producer puts is taken in its order, under contention too.
func TestEachProducersOrderIsKept(t *testing.T) {
	const producers, each = 8, 5000
	m := mailbox.New[[2]int](64)
	for p := range producers {
		go func() {
			for i := range each {
				if err := m.Put(context.Background(), [2]int{p, i}); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	var next [producers]int
	for n := 0; n < producers*each; {
		batch, err := m.Take(t.Context(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range batch {
			if x[1] != next[x[0]] {
				t.Fatalf("producer %d: %d before %d", x[0], x[1], next[x[0]])
			}
			next[x[0]]++
		}
		n += len(batch)
	}
}

func BenchmarkPut(b *testing.B) {
	for _, producers := range []int{1, 8} {
		b.Run(fmt.Sprintf("producers=%d", producers), func(b *testing.B) {
			m := mailbox.New[int](4096)
			b.ReportAllocs()
			for p := range producers {
				go func() {
					for i := p; i < b.N; i += producers {
						if m.Put(context.Background(), i) != nil {
							return
						}
					}
				}()
			}
			for n := 0; n < b.N; {
				batch, err := m.Take(context.Background(), time.Time{})
				if err != nil {
					b.Fatal(err)
				}
				n += len(batch)
			}
		})
	}
}

// TestTogether: what was put by one call is taken by one, and who waits for room for
// more than there is gets it.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mailbox.New[int](3)
		if err := m.Put(t.Context(), 1, 2); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- m.Put(t.Context(), 3, 4) }()
		synctest.Wait()
		for _, want := range [][]int{{1, 2}, {3, 4}} {
			if batch, err := m.Take(t.Context(), time.Time{}); err != nil || !slices.Equal(batch, want) {
				t.Errorf("%v %v, want %v", batch, err, want)
			}
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := m.Put(t.Context(), 5, 6, 7, 8); err != nil { // into an empty one
			t.Error(err)
		}
		if batch, err := m.Take(t.Context(), time.Time{}); err != nil || len(batch) != 4 {
			t.Errorf("%v %v", batch, err)
		}
	})
}
