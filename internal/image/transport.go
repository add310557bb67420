package image

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// errStalled ends a download that makes no headway.
var errStalled = errors.New("the registry sent nothing for too long")

// bounded is a transport that no registry can hold up or flood: a response that
// stalls ends, and what is kept in memory is small. Layers are streams, and
// bounded where they are unpacked.
type bounded struct {
	next  http.RoundTripper
	stall time.Duration
}

func orDefault(t http.RoundTripper) http.RoundTripper {
	if t != nil {
		return t
	}
	return http.DefaultTransport
}

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	timer := time.AfterFunc(b.stall, func() { cancel(errStalled) })
	response, err := b.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		timer.Stop()
		if errors.Is(context.Cause(ctx), errStalled) {
			err = errStalled
		}
		cancel(nil)
		return nil, err
	}
	body := &watchedBody{ReadCloser: response.Body, ctx: ctx, cancel: cancel, timer: timer, stall: b.stall, left: -1}
	if !strings.Contains(r.URL.Path, "/blobs/") && response.Request.URL.Host == r.URL.Host {
		body.left = manifestMax
	}
	response.Body = body
	return response, nil
}

type watchedBody struct {
	io.ReadCloser
	ctx    context.Context //nolint:containedctx // it is the response's life
	cancel context.CancelCauseFunc
	timer  *time.Timer
	stall  time.Duration
	left   int64 // bytes that may come yet; negative: any number
}

// Read implements io.Reader.
func (w *watchedBody) Read(p []byte) (int, error) {
	if w.left == 0 {
		return 0, errors.New("the registry's answer is too large")
	}
	if w.left > 0 && int64(len(p)) > w.left {
		p = p[:w.left]
	}
	w.timer.Reset(w.stall)
	n, err := w.ReadCloser.Read(p)
	w.timer.Stop() // the time between reads is ours
	if w.left > 0 {
		w.left -= int64(n)
	}
	if err != nil && !errors.Is(err, io.EOF) && errors.Is(context.Cause(w.ctx), errStalled) {
		err = errStalled
	}
	return n, err
}

// Close implements io.Closer.
func (w *watchedBody) Close() error {
	w.timer.Stop()
	w.cancel(nil)
	return w.ReadCloser.Close()
}
