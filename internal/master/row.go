package master

import "github.com/meseta-project/meseta/internal/cow"

// A shelf holds rows that are written in place until a snapshot shares them:
// the first change after a snapshot copies the row, later ones do not.
type shelf[K comparable, R any] struct {
	table cow.Table[K, R]
	epoch uint64 // number of snapshots taken, and one more
}

func newShelf[K comparable, R any]() shelf[K, R] { return shelf[K, R]{epoch: 1} }

// A cell is one row's place on a shelf.
type cell[R any] struct {
	row   *R
	epoch uint64 // the shelf's when row was made; 0 once it is shared
}

// add puts a new row on the shelf.
func (s *shelf[K, R]) add(key K, row *R) cell[R] {
	s.table.Put(key, row)
	return cell[R]{row, s.epoch}
}

// edit returns the row at key for writing.
func (s *shelf[K, R]) edit(key K, c *cell[R]) *R {
	if c.epoch != s.epoch {
		row := *c.row
		c.row, c.epoch = &row, s.epoch
		s.table.Put(key, c.row)
	}
	return c.row
}

// freeze returns the row as it stands, never to be changed.
func (c *cell[R]) freeze() *R {
	c.epoch = 0
	return c.row
}

func (s *shelf[K, R]) remove(key K) { s.table.Delete(key) }

func (s *shelf[K, R]) snapshot() cow.Snapshot[R] {
	s.epoch++
	return s.table.Snapshot()
}
