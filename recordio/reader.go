package recordio

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
)

// maxDigits is the longest length line taken: more digits than the largest
// int64 has.
const maxDigits = 20

// A Reader reads records. It is not safe for use by several goroutines.
type Reader struct {
	r     *bufio.Reader
	limit int
	buf   []byte
	line  [maxDigits]byte // of the length being read
	count int             // records read so far, for errors
}

// NewReader returns a Reader of r that refuses records of more than limit
// bytes; a limit of 0 or less stands for DefaultLimit. The Reader may read
// further ahead in r than the records it has returned.
func NewReader(r io.Reader, limit int) *Reader {
	if limit <= 0 {
		limit = DefaultLimit
	}
	return &Reader{r: bufio.NewReader(r), limit: limit}
}

// Next returns the payload of the next record, which is valid until Next is
// called again. At the end of the stream, between records, it returns io.EOF;
// a stream that ends within a record is an io.ErrUnexpectedEOF. A malformed
// length is an ErrLength, a record beyond the limit an ErrTooLarge, and an
// error of the underlying reader is wrapped. After an error the position in
// the stream is lost: Next must not be called again.
func (r *Reader) Next() ([]byte, error) {
	n, err := r.length()
	if err != nil {
		return nil, r.explain(err)
	}
	if err := r.payload(n); err != nil {
		return nil, r.explain(err)
	}
	r.count++
	return r.buf, nil
}

// All returns the payloads of the records that are left. Each is valid until
// the next one is asked for. The sequence ends at the end of the stream, or
// with a nil payload and the first error.
func (r *Reader) All() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for {
			payload, err := r.Next()
			if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				return
			}
			if !yield(payload, err) || err != nil {
				return
			}
		}
	}
}

// explain says at which record err happened. A clean end stays a bare io.EOF.
func (r *Reader) explain(err error) error {
	if err == io.EOF { //nolint:errorlint // the readers beneath return it bare
		return err
	}
	return fmt.Errorf("recordio: record %d: %w", r.count+1, err)
}

// length reads a length line.
func (r *Reader) length() (int, error) {
	digits := r.line[:]
	for i := 0; ; i++ {
		c, err := r.r.ReadByte()
		switch {
		case err == io.EOF && i > 0:
			return 0, io.ErrUnexpectedEOF
		case err != nil:
			return 0, err
		case c == '\n':
			return r.parse(digits[:i])
		case i == maxDigits || c < '0' || c > '9':
			return 0, fmt.Errorf("%w: %q", ErrLength, append(digits[:i:i], c))
		}
		digits[i] = c
	}
}

func (r *Reader) parse(digits []byte) (int, error) {
	if len(digits) == 0 {
		return 0, fmt.Errorf("%w: empty line", ErrLength)
	}
	n, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil || n > uint64(r.limit) {
		return 0, fmt.Errorf("%w: %s bytes, limit %d", ErrTooLarge, digits, r.limit)
	}
	return int(n), nil
}

// payload reads n bytes into r.buf. The buffer grows with what arrives, so a
// length that is only claimed costs no memory.
func (r *Reader) payload(n int) error {
	if cap(r.buf) > keep {
		r.buf = nil
	}
	r.buf = r.buf[:0]
	for len(r.buf) < n {
		have := len(r.buf)
		r.buf = slices.Grow(r.buf, min(n-have, max(have, keep)))
		r.buf = r.buf[:min(n, cap(r.buf))]
		if _, err := io.ReadFull(r.r, r.buf[have:]); err == io.EOF {
			return io.ErrUnexpectedEOF
		} else if err != nil {
			return err
		}
	}
	return nil
}
