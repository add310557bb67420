package operator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"time"
)

// poll is how often a file that is followed is looked at.
const poll = 100 * time.Millisecond

// A FileReader is a *Master or an *Agent.
type FileReader interface {
	ReadFile(ctx context.Context, path string, offset, length uint64) (data []byte, size uint64, err error)
}

// Sandbox returns the path by which an agent serves the sandbox of an
// executor's latest run. A command task's executor has the task's id.
func Sandbox(frameworkID, executorID string) string {
	return path.Join("/frameworks", frameworkID, "executors", executorID, "runs/latest")
}

// Follow copies a file to w from its start, and what is added to it, until done
// is closed and all of it has been copied. Until then a file that is not there,
// or a server that cannot be reached, is waited for; afterwards it is an error.
// A file that gets shorter is read from its start again.
func Follow(ctx context.Context, files FileReader, path string, w io.Writer, done <-chan struct{}) error {
	var offset uint64
	for {
		over := closed(done) // asked first: what comes after is in the next round
		n, size, err := copyFrom(ctx, files, path, offset, w)
		offset += n
		switch {
		case over || err != nil && !passing(err):
			return err
		case err == nil && size < offset:
			offset = 0
		}
		select {
		case <-time.After(poll):
		case <-done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// errWrite means that w, and not the server, has failed.
var errWrite = errors.New("write what was read")

// copyFrom copies what a file holds from offset on. It returns how much that
// was, and the file's size.
func copyFrom(ctx context.Context, files FileReader, path string, offset uint64, w io.Writer) (copied, size uint64, err error) {
	for {
		data, size, err := files.ReadFile(ctx, path, offset+copied, 0)
		if err != nil || len(data) == 0 {
			return copied, size, err
		}
		n, err := w.Write(data)
		copied += uint64(n)
		if err != nil {
			return copied, size, fmt.Errorf("%w: %w", errWrite, err)
		}
	}
}

// passing says that reading may well succeed later.
func passing(err error) bool {
	if refused, ok := errors.AsType[*StatusError](err); ok {
		return refused.Status == http.StatusNotFound || refused.Temporary()
	}
	return !errors.Is(err, errWrite)
}

func closed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}
