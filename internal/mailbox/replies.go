package mailbox

import "sync"

// Replies are what the producers of a mailbox wait for: each question has a
// number, and gets at most one answer. The zero value is ready for use, by
// several goroutines.
type Replies[ID ~uint64, A any] struct {
	mu      sync.Mutex
	last    ID
	waiting map[ID]chan A
}

// Ask returns the number of a new question, never 0, and where its answer will
// be. Whoever gives up waiting calls Forget.
func (r *Replies[ID, A]) Ask() (ID, <-chan A) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == nil {
		r.waiting = map[ID]chan A{}
	}
	r.last++
	answer := make(chan A, 1)
	r.waiting[r.last] = answer
	return r.last, answer
}

// Answer answers a question. An answer that nobody waits for is dropped.
func (r *Replies[ID, A]) Answer(id ID, a A) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if answer, ok := r.waiting[id]; ok {
		delete(r.waiting, id)
		answer <- a
	}
}

// Forget drops a question.
func (r *Replies[ID, A]) Forget(id ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiting, id)
}

// Len returns how many questions wait.
func (r *Replies[ID, A]) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting)
}
