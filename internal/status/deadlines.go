package status

import (
	"container/heap"
	"time"
)

// deadlines is a heap of streams, the one that is due first in front. A stream
// knows its place in it.
type deadlines []*stream

// set makes st due at t, whether it was in the heap or not.
func (d *deadlines) set(st *stream, t time.Time) {
	st.at = t
	if st.index < 0 {
		heap.Push(d, st)
		return
	}
	heap.Fix(d, st.index)
}

// remove takes st out, if it is in.
func (d *deadlines) remove(st *stream) {
	if st.index >= 0 {
		heap.Remove(d, st.index)
	}
}

// Len returns the number of streams; see [heap.Interface].
func (d deadlines) Len() int { return len(d) }

// Less orders by time, then by creation; see [heap.Interface].
func (d deadlines) Less(i, j int) bool {
	if !d[i].at.Equal(d[j].at) {
		return d[i].at.Before(d[j].at)
	}
	return d[i].seq < d[j].seq
}

// Swap exchanges two streams; see [heap.Interface].
func (d deadlines) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].index, d[j].index = i, j
}

// Push adds a stream; see [heap.Interface].
func (d *deadlines) Push(x any) {
	st := x.(*stream)
	st.index = len(*d)
	*d = append(*d, st)
}

// Pop takes the last stream; see [heap.Interface].
func (d *deadlines) Pop() any {
	last := len(*d) - 1
	st := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	st.index = -1
	return st
}
