package wire

import (
	"io"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"
)

// bufferSize is how much a Writer gathers before it writes, in bytes.
const bufferSize = 64 << 10

// A Writer writes one JSON text to a stream, piece by piece and without white
// space. The caller sees to it that the pieces make a text: each value in an
// object behind its Key, each Begin with its End. It belongs to one goroutine.
type Writer struct {
	out   io.Writer
	buf   []byte
	err   error
	comma bool // a value at this level precedes
}

// NewWriter returns a Writer to out. Flush must be called at the end.
func NewWriter(out io.Writer) *Writer {
	return &Writer{out: out, buf: make([]byte, 0, bufferSize+bufferSize/4)}
}

// Flush writes what has been gathered. It returns the first error of out, after
// which nothing more was written to it.
func (w *Writer) Flush() error {
	if w.err == nil && len(w.buf) > 0 {
		_, w.err = w.out.Write(w.buf)
	}
	w.buf = w.buf[:0]
	return w.err
}

// Err returns the first error of the stream, so that a long rendering can end
// early.
func (w *Writer) Err() error { return w.err }

// begin returns the buffer to append a value to.
func (w *Writer) begin() []byte {
	if w.comma {
		return append(w.buf, ',')
	}
	return w.buf
}

// end takes the buffer back with the value in it.
func (w *Writer) end(b []byte) {
	w.buf, w.comma = b, true
	if len(b) >= bufferSize {
		_ = w.Flush() // the error is kept
	}
}

// BeginObject opens an object.
func (w *Writer) BeginObject() { w.buf, w.comma = append(w.begin(), '{'), false }

// EndObject closes the innermost object.
func (w *Writer) EndObject() { w.end(append(w.buf, '}')) }

// BeginArray opens an array.
func (w *Writer) BeginArray() { w.buf, w.comma = append(w.begin(), '['), false }

// EndArray closes the innermost array.
func (w *Writer) EndArray() { w.end(append(w.buf, ']')) }

// Key writes the name of the member whose value follows, and returns w for it.
func (w *Writer) Key(name string) *Writer {
	w.buf, w.comma = append(appendString(w.begin(), name), ':'), false
	return w
}

// String writes a string.
func (w *Writer) String(v string) { w.end(appendString(w.begin(), v)) }

// Bool writes true or false.
func (w *Writer) Bool(v bool) { w.end(strconv.AppendBool(w.begin(), v)) }

// Int writes an integer.
func (w *Writer) Int(v int64) { w.end(strconv.AppendInt(w.begin(), v, 10)) }

// Double writes v as Mesos writes doubles, always with a point or exponent.
func (w *Writer) Double(v float64) { w.end(appendDouble(w.begin(), v)) }

// Time writes t as a double, in seconds since 1970; 0.0 if t is zero.
func (w *Writer) Time(t time.Time) {
	w.Double(Seconds(t))
}

// Seconds returns t in seconds since 1970, 0 if t is zero.
func Seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixNano()) / 1e9
}

// Message writes m as AppendJSON does.
func (w *Writer) Message(m proto.Message) { w.end(AppendJSON(w.begin(), m)) }

// SortedMessage writes m as AppendSortedJSON does.
func (w *Writer) SortedMessage(m proto.Message) { w.end(AppendSortedJSON(w.begin(), m)) }

// Strings writes an array of strings.
func (w *Writer) Strings(all []string) {
	w.BeginArray()
	for _, s := range all {
		w.String(s)
	}
	w.EndArray()
}
