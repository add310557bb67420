package cow

import (
	"maps"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// row carries its key, so that a walk can be compared with a map.
type row struct{ key, value int }

func collect(t rapid.TB, rows func(func(*row) bool)) map[int]int {
	got := map[int]int{}
	for r := range rows {
		if _, twice := got[r.key]; twice {
			t.Fatalf("key %d met twice", r.key)
		}
		got[r.key] = r.value
	}
	return got
}

// TestAgainstMap drives a table and a plain map alike: the table says what the
// map says, and whatever the writer does after a snapshot, the snapshot keeps
// saying what it said.
func TestAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var (
			tab    Table[int, row]
			model  = map[int]int{}
			frozen []Snapshot[row]
			wanted []map[int]int
		)
		key := rapid.IntRange(0, 3*pageSize)
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				k, v := key.Draw(t, "key"), rapid.Int().Draw(t, "value")
				tab.Put(k, &row{k, v})
				model[k] = v
			},
			"fill": func(t *rapid.T) {
				first := key.Draw(t, "first")
				for k := first; k < first+pageSize; k++ {
					tab.Put(k, &row{k, first})
					model[k] = first
				}
			},
			"delete": func(t *rapid.T) {
				k := key.Draw(t, "key")
				tab.Delete(k)
				delete(model, k)
			},
			"snapshot": func(*rapid.T) {
				frozen, wanted = append(frozen, tab.Snapshot()), append(wanted, maps.Clone(model))
			},
			"": func(t *rapid.T) {
				k := key.Draw(t, "probe")
				v, ok := model[k]
				if got := tab.Get(k); (got != nil) != ok || tab.Has(k) != ok || ok && *got != (row{k, v}) {
					t.Fatalf("Get(%d) = %v, want %d, %t", k, got, v, ok)
				}
				if got := collect(t, tab.All()); !maps.Equal(got, model) || tab.Len() != len(model) {
					t.Fatalf("the table has %d rows and yields %d, want %d", tab.Len(), len(got), len(model))
				}
			},
		})
		for i, snap := range frozen {
			if got := collect(t, snap.All()); !maps.Equal(got, wanted[i]) || snap.Len() != len(wanted[i]) {
				t.Fatalf("snapshot %d changed", i)
			}
		}
	})
}

// TestChangedOnTheWay deletes and adds rows from inside a walk.
func TestChangedOnTheWay(t *testing.T) {
	var tab Table[int, row]
	for k := range 2 * pageSize {
		tab.Put(k, &row{key: k})
	}
	tab.Snapshot() // so that the walk meets pages that are replaced under it
	var met []int
	for r := range tab.All() {
		met = append(met, r.key)
		tab.Delete(r.key)
		tab.Delete(r.key + 1)
	}
	if tab.Len() != 0 || len(met) != pageSize || !slices.IsSorted(met) {
		t.Errorf("%d rows left, %d met", tab.Len(), len(met))
	}
}

// TestSlotsAreReused holds the table to its largest size ever.
func TestSlotsAreReused(t *testing.T) {
	var tab Table[int, row]
	for k := range 100 * pageSize {
		tab.Put(k, &row{key: k})
		tab.Delete(k)
	}
	if len(tab.pages) != 1 || len(tab.free) != 1 {
		t.Errorf("%d pages and %d free slots for one row at a time", len(tab.pages), len(tab.free))
	}
}

// BenchmarkTable measures what each batch of the master's loop costs at the
// size of a large cluster: the writes, the snapshot between them, and what a
// reader pays for a walk.
func BenchmarkTable(b *testing.B) {
	for _, rows := range []int{10_000, 500_000} {
		var tab Table[int, row]
		for k := range rows {
			tab.Put(k, &row{key: k})
		}
		name := strconv.Itoa(rows)
		b.Run("Put/"+name, func(b *testing.B) {
			r := &row{}
			for i := range b.N {
				tab.Put(i%rows, r)
			}
		})
		b.Run("PutAfterSnapshot/"+name, func(b *testing.B) {
			r := &row{}
			for i := range b.N {
				tab.Snapshot()
				tab.Put(i%rows, r)
			}
		})
		b.Run("Snapshot/"+name, func(b *testing.B) {
			for b.Loop() {
				tab.Snapshot()
			}
		})
		b.Run("Walk/"+name, func(b *testing.B) {
			snap := tab.Snapshot()
			for b.Loop() {
				n := 0
				for range snap.All() {
					n++
				}
				if n != rows {
					b.Fatal(n)
				}
			}
		})
	}
}

// TestWalkInParts breaks a walk off at any row and goes on from there, while rows
// are replaced, deleted and added: those that stay are met once.
func TestWalkInParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tab Table[int, row]
		n := rapid.IntRange(0, 2*pageSize+3).Draw(t, "rows")
		for k := range n {
			tab.Put(k, &row{k, 0})
		}
		gone, met := map[int]bool{}, map[int]bool{}
		for slot, more := 0, true; more; {
			more = false
			part := rapid.IntRange(1, pageSize).Draw(t, "part")
			for at, r := range tab.From(slot) {
				if part == 0 {
					slot, more = at, true
					break
				}
				part--
				if met[r.key] {
					t.Fatalf("key %d met twice", r.key)
				}
				met[r.key] = true
			}
			if n == 0 {
				break
			}
			k := rapid.IntRange(0, n-1).Draw(t, "changed")
			if rapid.Bool().Draw(t, "delete") {
				tab.Delete(k)
				gone[k] = true
			} else if tab.Has(k) {
				tab.Put(k, &row{k, 1})
			}
		}
		for k := range n {
			if !met[k] && !gone[k] {
				t.Fatalf("key %d not met", k)
			}
		}
	})
}
