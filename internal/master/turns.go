package master

// Turns are a heap, for container/heap, of those whose turn comes: first whom
// nobody is before.
type turns[T placed[T]] []T

// placed are who knows their place in it: -1 if they have none.
type placed[T any] interface {
	before(T) bool
	at() *int
}

func (ts turns[T]) Len() int           { return len(ts) }
func (ts turns[T]) Less(i, j int) bool { return ts[i].before(ts[j]) }

func (ts turns[T]) Swap(i, j int) {
	ts[i], ts[j] = ts[j], ts[i]
	*ts[i].at(), *ts[j].at() = i, j
}

func (ts *turns[T]) Push(x any) {
	one := x.(T)
	*one.at() = len(*ts)
	*ts = append(*ts, one)
}

func (ts *turns[T]) Pop() any {
	last := len(*ts) - 1
	one := (*ts)[last]
	clear((*ts)[last:])
	*ts = (*ts)[:last]
	*one.at() = -1
	return one
}
