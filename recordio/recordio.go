// Package recordio reads and writes RecordIO, the framing of Mesos's event
// streams: for each record its length in decimal, a newline, and the payload.
//
// Schedulers, executors and operators read it from the answer to SUBSCRIBE;
// the agent's container input and output use it too. What a payload is (JSON
// or protobuf) is no concern of the framing.
package recordio

import (
	"errors"
	"io"
	"strconv"
)

// DefaultLimit is the size, in bytes, of the largest record that a Reader
// takes when it is told no other: large enough for the SUBSCRIBED event of an
// operator on a cluster of tens of thousands of agents.
const DefaultLimit = 512 << 20

var (
	// ErrTooLarge means that a record is larger than the Reader's limit.
	ErrTooLarge = errors.New("record is too large")
	// ErrLength means that something that is no decimal number stands where
	// a record's length should.
	ErrLength = errors.New("malformed record length")
)

// Append appends payload to dst as one record and returns the longer slice.
func Append(dst, payload []byte) []byte {
	dst = strconv.AppendInt(dst, int64(len(payload)), 10)
	dst = append(dst, '\n')
	return append(dst, payload...)
}

// A Writer writes records. It is not safe for use by several goroutines.
type Writer struct {
	w   io.Writer
	buf []byte
}

// keep is how large a buffer a Writer or a Reader holds on to between records.
const keep = 64 << 10

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// WriteRecord writes payload as one record, in exactly one Write: on an HTTP
// connection that is flushed after it, length and payload share one chunk,
// which several clients rely on.
func (w *Writer) WriteRecord(payload []byte) error {
	w.buf = Append(w.buf[:0], payload)
	_, err := w.w.Write(w.buf)
	if cap(w.buf) > keep {
		w.buf = nil
	}
	return err
}
