package httpd

import (
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/meseta-project/meseta/internal/refusal"
)

// ReadBody returns the body of a request. It refuses one of more than limit
// bytes with 413, one that makes no headway with 408, and one that ends early
// with 400. Memory grows with what arrives.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int) ([]byte, error) {
	control := http.NewResponseController(w)
	if r.ContentLength > int64(limit) {
		abandon(w, control)
		return nil, tooLarge(limit)
	}
	src := http.MaxBytesReader(w, r.Body, int64(limit))
	body := make([]byte, 0, min(max(r.ContentLength, 0)+1, 64<<10))
	for start := time.Now(); ; {
		_ = control.SetReadDeadline(start.Add(patience + time.Duration(len(body))*time.Second/slowest))
		if len(body) == cap(body) { // twice as much, so that little is left behind on the way
			body = slices.Grow(body, min(cap(body), limit+1-len(body)))
		}
		n, err := src.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == io.EOF {
			_ = control.SetReadDeadline(time.Time{})
			return body, nil
		}
		if err != nil {
			abandon(w, control)
			return nil, unread(err, limit)
		}
	}
}

// abandon has the connection end with the answer, and net/http not wait for
// the rest of the body before.
func abandon(w http.ResponseWriter, control *http.ResponseController) {
	w.Header().Set("Connection", "close")
	_ = control.SetReadDeadline(time.Now())
}

func tooLarge(limit int) error {
	return refusal.TooLargef("The request's body is larger than %d bytes", limit)
}

func unread(err error, limit int) error {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return tooLarge(limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return status(http.StatusRequestTimeout, "The request's body took too long")
	}
	return refusal.Invalidf("Failed to read the request's body: %v", err)
}
