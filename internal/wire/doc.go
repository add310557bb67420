// Package wire reads and writes messages as Apache Mesos does: JSON the way
// its stout library does it, protocol buffers with required fields checked,
// and the JSON of the older endpoints, whose shapes and names predate the v1
// messages (a Task's slave_id, resources as one object).
//
// It knows formats only: no HTTP, no framing of streams, no policy. Everything
// here may be used from any number of goroutines, but a Writer belongs to one.
package wire
