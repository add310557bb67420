package master

// A chain is of those that came one after the other, and of which any may leave. One
// may be in several; a chain, and a walk along it, are told by a function where it has
// its neighbours in that one.
type chain[T any] struct{ oldest, youngest *T }

// neighbours are those next to one in a chain; nil at its ends.
type neighbours[T any] struct{ older, younger *T }

// add puts one that is younger than all others in a chain.
func (c *chain[T]) add(one *T, of func(*T) *neighbours[T]) {
	n := of(one)
	if n.older = c.youngest; n.older != nil {
		of(n.older).younger = one
	} else {
		c.oldest = one
	}
	c.youngest = one
}

// remove undoes add.
func (c *chain[T]) remove(one *T, of func(*T) *neighbours[T]) {
	n := of(one)
	if n.older != nil {
		of(n.older).younger = n.younger
	} else {
		c.oldest = n.younger
	}
	if n.younger != nil {
		of(n.younger).older = n.older
	} else {
		c.youngest = n.older
	}
	*n = neighbours[T]{}
}

// A walk is along a chain, from the oldest to that which was the youngest when it began.
type walk[T any] struct{ next, last *T } // next is nil once it is over

func (c *chain[T]) walk() walk[T] { return walk[T]{c.oldest, c.youngest} }

// step goes on from next, and returns it.
func (w *walk[T]) step(of func(*T) *neighbours[T]) *T {
	one := w.next
	if w.next = of(one).younger; one == w.last {
		w.next = nil
	}
	return one
}

// pass is told of one that is about to leave the chain.
func (w *walk[T]) pass(one *T, of func(*T) *neighbours[T]) {
	if w.next == one {
		w.step(of)
	}
	if w.last == one {
		w.last = of(one).older
	}
}
