package journal

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"sync"

	"github.com/meseta-project/meseta/internal/registry"
)

// inline begins a log entry that holds its changes itself; others name parts,
// in JSON.
const inline = 'i'

// encode returns puts as bytes: for each the length of the key, the key, one
// more than the length of the value or 0 for a deletion, and the value. Lengths
// are varints.
func encode(puts []registry.Put) []byte {
	size := 0
	for _, p := range puts {
		size += len(p.Key) + len(p.Value) + 2*binary.MaxVarintLen32
	}
	b := make([]byte, 0, size)
	for _, p := range puts {
		b = append(binary.AppendUvarint(b, uint64(len(p.Key))), p.Key...)
		if p.Value == nil {
			b = append(b, 0)
			continue
		}
		b = append(binary.AppendUvarint(b, uint64(len(p.Value))+1), p.Value...)
	}
	return b
}

// elsewhere is where another registry can be.
const elsewhere = "another path, or where etcd is embedded with another --work_dir"

var errDamaged = errors.New("the registry is damaged: restore the store from a backup, or begin a new cluster under " + elsewhere)

// apply makes the changes in b.
func apply(records map[string][]byte, b []byte) error {
	for len(b) > 0 {
		key, rest, ok := take(b, 0)
		if !ok {
			return errDamaged
		}
		if len(rest) > 0 && rest[0] == 0 {
			delete(records, string(key))
			b = rest[1:]
			continue
		}
		value, rest, ok := take(rest, 1)
		if !ok {
			return errDamaged
		}
		records[string(key)] = append([]byte{}, value...)
		b = rest
	}
	return nil
}

// take returns what b begins with: a length, which is less by more, and as many
// bytes.
func take(b []byte, more uint64) (piece, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n < more || n-more > uint64(len(b)-size) {
		return nil, nil, false
	}
	b = b[size:]
	return b[:n-more], b[n-more:], true
}

func (p parts) marshal() []byte {
	text, _ := json.Marshal(p) // a string and a number can be
	return text
}

// readers is how many values are read at once.
const readers = 16

// gather calls read for each of 0 … n-1, several at once, and returns what they
// returned, in order, or the first error.
func gather(ctx context.Context, n int, read func(ctx context.Context, i int) ([]byte, error)) ([][]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	all := make([][]byte, n)
	turn := make(chan int)
	var work sync.WaitGroup
	for range min(n, readers) {
		work.Go(func() {
			for i := range turn {
				var err error
				if all[i], err = read(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range n {
		select {
		case turn <- i:
		case <-ctx.Done():
		}
	}
	close(turn)
	work.Wait()
	return all, context.Cause(ctx)
}
