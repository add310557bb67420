// Package cow holds the copy-on-write table behind the state of the master and
// the agent. It has one writer, and readers that are never waited for:
//
//	slots   key → slot          the writer's index, never shared
//	        │
//	pages   [ • │ • │ • ]       one slice of pointers, copied by a snapshot
//	          │   │   │
//	          ▼   ▼   ▼
//	page    256 pointers each, stamped with the epoch it was last copied in
//	          │
//	          ▼
//	row     *V, immutable: a change is a new row
//
// A snapshot copies the slice of pages and moves the table to the next epoch.
// The first write to a page in an epoch copies that page, since a snapshot may
// hold the old one; later writes of the same epoch change the copy in place.
//
//   - To look up: slots gives the slot; its page, slot/256; its row, slot%256.
//     One map access.
//   - To set: as to look up, taking a free slot for a new key; own the page;
//     store the pointer.
//   - To snapshot: copy one pointer per 256 rows.
//
// A table never shrinks: the slots of deleted rows are used again, so it stays
// as large as it was at its largest.
package cow

import "iter"

// pageSize is a trade: a larger page makes snapshots cheaper, and the first
// write to a page after a snapshot dearer.
const pageSize = 256

type page[V any] struct {
	epoch uint64 // the table's epoch when this page was made
	rows  [pageSize]*V
}

// A Table maps keys to immutable rows: what a *V handed to Put points to must
// not be modified afterwards, since snapshots share it. The zero value is an
// empty table. A Table must not be copied, and is for one goroutine at a time.
type Table[K comparable, V any] struct {
	epoch uint64
	pages []*page[V]
	slots map[K]uint32
	free  []uint32 // slots of deleted rows, last freed first used
}

// Get returns the row at key, or nil.
func (t *Table[K, V]) Get(key K) *V {
	slot, ok := t.slots[key]
	if !ok {
		return nil
	}
	return t.pages[slot/pageSize].rows[slot%pageSize]
}

// Has reports whether key has a row.
func (t *Table[K, V]) Has(key K) bool {
	_, ok := t.slots[key]
	return ok
}

// Put sets the row at key. The row must not be nil.
func (t *Table[K, V]) Put(key K, row *V) {
	slot, ok := t.slots[key]
	if !ok {
		slot = t.claim(key)
	}
	t.own(slot).rows[slot%pageSize] = row
}

// Delete removes the row at key, if there is one.
func (t *Table[K, V]) Delete(key K) {
	slot, ok := t.slots[key]
	if !ok {
		return
	}
	t.own(slot).rows[slot%pageSize] = nil
	delete(t.slots, key)
	t.free = append(t.free, slot)
}

// Len returns the number of rows.
func (t *Table[K, V]) Len() int { return len(t.slots) }

// All yields every row, in slot order: the same for the same history, but not
// that of insertion once a row has been deleted. The table may be changed on
// the way: rows deleted ahead are not met, rows added may or may not be.
func (t *Table[K, V]) All() iter.Seq[*V] {
	return func(yield func(*V) bool) {
		for _, row := range t.From(0) {
			if !yield(row) {
				return
			}
		}
	}
}

// From is All from a slot on, with the slots: so that a long walk can be broken
// off at one and go on from there later. Rows that do not change their keys are
// met once in all.
func (t *Table[K, V]) From(slot int) iter.Seq2[int, *V] {
	return func(yield func(int, *V) bool) {
		for ; slot < len(t.pages)*pageSize; slot++ { // pages may be added on the way
			if row := t.pages[slot/pageSize].rows[slot%pageSize]; row != nil && !yield(slot, row) {
				return
			}
		}
	}
}

// Snapshot freezes the table as it stands.
func (t *Table[K, V]) Snapshot() Snapshot[V] {
	t.epoch++
	return Snapshot[V]{pages: append([]*page[V](nil), t.pages...), rows: len(t.slots)}
}

// claim gives key a slot: the one freed last, or the next new one.
func (t *Table[K, V]) claim(key K) uint32 {
	if t.slots == nil {
		t.slots = make(map[K]uint32)
	}
	slot := uint32(len(t.slots))
	if n := len(t.free); n > 0 {
		slot, t.free = t.free[n-1], t.free[:n-1]
	}
	if int(slot/pageSize) == len(t.pages) {
		t.pages = append(t.pages, &page[V]{epoch: t.epoch})
	}
	t.slots[key] = slot
	return slot
}

// own returns the page of slot, copied first if a snapshot may share it.
func (t *Table[K, V]) own(slot uint32) *page[V] {
	p := t.pages[slot/pageSize]
	if p.epoch != t.epoch {
		p = &page[V]{epoch: t.epoch, rows: p.rows}
		t.pages[slot/pageSize] = p
	}
	return p
}

// A Snapshot is a table frozen in time. It is safe for concurrent use. The
// zero value is the snapshot of an empty table.
type Snapshot[V any] struct {
	pages []*page[V]
	rows  int
}

// Len returns the number of rows.
func (s Snapshot[V]) Len() int { return s.rows }

// All yields every row, in the order of [Table.All].
func (s Snapshot[V]) All() iter.Seq[*V] {
	return func(yield func(*V) bool) {
		for _, p := range s.pages {
			for _, row := range &p.rows {
				if row != nil && !yield(row) {
					return
				}
			}
		}
	}
}
