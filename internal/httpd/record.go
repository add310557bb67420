package httpd

import (
	"sync"

	"github.com/meseta-project/meseta/internal/wire"
)

// A Record is an event on its way to any number of streams. It is encoded
// when the first of them writes it, at most once per media type, so never in
// the loop that made it. It is safe for use by several goroutines.
type Record struct {
	encode func(contentType string) ([]byte, error)
	once   [2]sync.Once
	data   [2][]byte
	err    [2]error
}

// NewRecord returns a record that encode, which must be free to call from any
// goroutine, writes as [wire.JSON] or [wire.Protobuf].
func NewRecord(encode func(contentType string) ([]byte, error)) *Record {
	return &Record{encode: encode}
}

// bytes returns the payload in a media type.
func (r *Record) bytes(contentType string) ([]byte, error) {
	i := 0
	if contentType == wire.Protobuf {
		i = 1
	}
	r.once[i].Do(func() { r.data[i], r.err[i] = r.encode(contentType) })
	return r.data[i], r.err[i]
}
