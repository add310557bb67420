package httpd

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/meseta-project/meseta/internal/invariant"
)

// NewServer returns a server of h with the limits that all of ours have: heads
// of at most 64 KiB that arrive within 10 s. Bodies and answers are limited
// where they are read and written: [ReadBody], [Render]. A connection may be
// idle for ever, since Mesos's libraries take the end of the one that they make
// calls on for the end of their subscription. Each request is logged at debug
// level.
//
// A handler that panics is answered with 500 and logged; but a broken
// invariant is handed to crash, which should not return: nothing goes on with
// a state known to be wrong. Nil stands for a crash of the process.
func NewServer(h http.Handler, log *slog.Logger, crash func(*invariant.Violation)) *http.Server {
	if crash == nil {
		crash = func(v *invariant.Violation) {
			go panic(v) // on a goroutine of its own: net/http would recover it
			select {}
		}
	}
	return &http.Server{
		Handler:           logged(guarded(h, log, crash), log),
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// guarded deals with panics of h.
func guarded(h http.Handler, log *slog.Logger, crash func(*invariant.Violation)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			err, _ := v.(error)
			if errors.Is(err, http.ErrAbortHandler) {
				panic(v)
			}
			if violation, ok := errors.AsType[*invariant.Violation](err); ok {
				crash(violation)
			}
			log.Error("handler panicked", slog.String("path", r.URL.Path), slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
			Text(w, http.StatusInternalServerError, "Internal error")
		}()
		// The deadline of the answer before is not this one's.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // in tests there is no connection
		h.ServeHTTP(w, r)
	})
}

// logged notes each request once it has been answered.
func logged(h http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !log.Enabled(r.Context(), slog.LevelDebug) {
			h.ServeHTTP(w, r)
			return
		}
		start := time.Now()
		answer := recorder{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			log.Debug("request",
				slog.String("method", r.Method), slog.String("path", r.URL.Path),
				slog.String("peer", r.RemoteAddr), slog.String("user_agent", r.UserAgent()),
				slog.Int("status", answer.status), slog.Int64("bytes", answer.bytes),
				slog.Duration("took", time.Since(start)))
		}()
		h.ServeHTTP(&answer, r)
	})
}

// A recorder notes what is answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *recorder) WriteHeader(code int) {
	r.status = code
	r.ResponseWriter.WriteHeader(code)
}

func (r *recorder) Write(b []byte) (int, error) {
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets an http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
