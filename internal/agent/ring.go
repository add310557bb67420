package agent

// ring keeps the latest max things, the oldest first.
type ring[T any] struct {
	max  int
	kept []T
}

// add keeps v; the oldest is dropped, and returned, when there are too many.
func (r *ring[T]) add(v T) (dropped T, ok bool) {
	r.kept = append(r.kept, v)
	if len(r.kept) <= r.max {
		return dropped, false
	}
	dropped = r.kept[0]
	clear(r.kept[:1])
	r.kept = r.kept[1:]
	return dropped, true
}

// take removes and returns the first thing that is wanted.
func (r *ring[T]) take(wanted func(T) bool) (v T, ok bool) {
	for i, v := range r.kept {
		if wanted(v) {
			r.kept = append(r.kept[:i:i], r.kept[i+1:]...)
			return v, true
		}
	}
	return v, false
}
