package httpd

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/wire"
)

const (
	text       = "text/plain; charset=utf-8"
	javascript = "text/javascript"

	// gzipMin is the size, in bytes, from which an answer is compressed for
	// those who take it.
	gzipMin = 1024
	// whole is the size, in bytes, up to which a rendered answer is held back
	// to be sent with its length.
	whole = 256 << 10
	// slowest is how many bytes a second a client must take or send, beyond
	// the first patience.
	slowest  = 64 << 10
	patience = 30 * time.Second
)

// A StatusError refuses a request with a status that only HTTP knows.
type StatusError struct {
	Status  int
	Message string // the answer's body
	Allow   string // for 405, the methods there are
}

// Error returns the message.
func (e *StatusError) Error() string { return e.Message }

func status(code int, message string) error { return &StatusError{Status: code, Message: message} }

// Method refuses, with 405, a request whose method is not one of those
// allowed.
func Method(r *http.Request, allowed ...string) error {
	for _, m := range allowed {
		if r.Method == m || r.Method == http.MethodHead && m == http.MethodGet {
			return nil
		}
	}
	return &StatusError{
		Status:  http.StatusMethodNotAllowed,
		Message: "405 Method Not Allowed. Expecting one of { '" + strings.Join(allowed, "', '") + "' }, but received '" + r.Method + "'.",
		Allow:   strings.Join(allowed, ", "),
	}
}

// statuses says each reason of a refusal in HTTP.
var statuses = map[refusal.Reason]int{
	refusal.Invalid:        http.StatusBadRequest,
	refusal.Unauthorized:   http.StatusUnauthorized,
	refusal.Forbidden:      http.StatusForbidden,
	refusal.NotFound:       http.StatusNotFound,
	refusal.Conflict:       http.StatusConflict,
	refusal.Gone:           http.StatusGone,
	refusal.TooLarge:       http.StatusRequestEntityTooLarge,
	refusal.Overloaded:     http.StatusTooManyRequests,
	refusal.NotImplemented: http.StatusNotImplemented,
	refusal.Unavailable:    http.StatusServiceUnavailable,
}

// Status returns the status that says err: 500 if it is no refusal.
func Status(err error) int {
	if e, ok := errors.AsType[*StatusError](err); ok {
		return e.Status
	}
	if code, ok := statuses[refusal.ReasonOf(err)]; ok {
		return code
	}
	return http.StatusInternalServerError
}

// Refuse answers with err: its status and its text.
func Refuse(w http.ResponseWriter, err error) {
	if e, ok := errors.AsType[*StatusError](err); ok && e.Allow != "" {
		w.Header().Set("Allow", e.Allow)
	}
	message := err.Error()
	if r, ok := errors.AsType[*refusal.Error](err); ok {
		message = r.Message
	}
	Text(w, Status(err), message)
}

// Text answers with a status and a text, which may be empty.
func Text(w http.ResponseWriter, code int, message string) {
	w.Header().Set("Content-Type", text)
	w.Header().Set("Content-Length", strconv.Itoa(len(message)))
	extend(w, len(message))
	w.WriteHeader(code)
	_, _ = io.WriteString(w, message) // the client may be gone
}

// Empty answers with a status alone: no body and no type, as a call without
// an answer is answered.
func Empty(w http.ResponseWriter, code int) {
	w.Header()["Content-Type"] = nil // net/http would guess one
	w.Header().Set("Content-Length", "0")
	extend(w, 0)
	w.WriteHeader(code)
}

// Body answers 200 with body, compressed if it is worth it and the client
// takes it.
func Body(w http.ResponseWriter, r *http.Request, contentType string, body []byte) {
	if len(body) >= gzipMin && acceptsGzip(r) {
		var b bytes.Buffer
		zip := gzip.NewWriter(&b)
		_, _ = zip.Write(body) // a bytes.Buffer takes all
		_ = zip.Close()
		body = b.Bytes()
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	extend(w, len(body))
	_, _ = w.Write(body) // the client may be gone
}

// HostLocation returns the Location of a server, without a scheme, so that
// clients keep theirs.
func HostLocation(host string, port int) string {
	return "//" + net.JoinHostPort(host, strconv.Itoa(port))
}

func acceptsGzip(r *http.Request) bool {
	return acceptable(r.Header.Values("Accept-Encoding"), "gzip", "*")
}

// extend gives the client time to take n bytes more.
func extend(w http.ResponseWriter, n int) {
	by := time.Now().Add(patience + time.Duration(n)*time.Second/slowest)
	_ = http.NewResponseController(w).SetWriteDeadline(by) // in tests there is no connection
}

// JSON answers 200 with a JSON text; a query with jsonp=NAME has it as the
// argument of a call of that function.
func JSON(w http.ResponseWriter, r *http.Request, body []byte) {
	respond(w, r, func(out io.Writer) error {
		_, err := out.Write(body)
		return err
	})
}

// Render is JSON for a text that render writes piece by piece. A text that is
// not small is sent as it comes, in chunks, so it may be of any size. An error
// of render's own is refused, or cuts the connection if the answer has begun;
// errors of writing need no care, but a long rendering ends early with
// [wire.Writer.Err].
func Render(w http.ResponseWriter, r *http.Request, render func(*wire.Writer) error) {
	respond(w, r, func(out io.Writer) error {
		to := wire.NewWriter(out)
		if err := render(to); err != nil {
			return err
		}
		return to.Flush()
	})
}

func respond(w http.ResponseWriter, r *http.Request, render func(io.Writer) error) {
	out := renderer{w: w, r: r, contentType: wire.JSON}
	callback, err := jsonp(r)
	if err != nil {
		Refuse(w, err)
		return
	}
	if callback != "" {
		out.contentType = javascript
		_, _ = io.WriteString(&out, callback+"(")
	}
	err = render(&out)
	switch {
	case err != nil && out.to != nil:
		panic(http.ErrAbortHandler)
	case err != nil:
		Refuse(w, err)
		return
	case callback != "":
		_, _ = io.WriteString(&out, ")")
	}
	out.finish()
}

// jsonp returns the name of the function to call, or "". What is no name
// could be a script.
func jsonp(r *http.Request) (string, error) {
	name := r.URL.Query().Get("jsonp")
	for _, c := range []byte(name) {
		if c != '_' && c != '$' && c != '.' && !alphanumeric(c) {
			return "", refusal.Invalidf("Expecting 'jsonp' to name a function")
		}
	}
	return name, nil
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// A renderer holds an answer back until it is whole or too large for that.
type renderer struct {
	w           http.ResponseWriter
	r           *http.Request
	contentType string
	buf         []byte
	to          io.Writer // where it goes once begun, nil before
	zip         *gzip.Writer
}

func (o *renderer) Write(p []byte) (int, error) {
	o.buf = append(o.buf, p...)
	if len(o.buf) < whole {
		return len(p), nil
	}
	if o.to == nil {
		o.begin()
	}
	return len(p), o.flush()
}

func (o *renderer) begin() {
	o.w.Header().Set("Content-Type", o.contentType)
	o.to = o.w
	if acceptsGzip(o.r) {
		o.w.Header().Set("Content-Encoding", "gzip")
		o.zip = gzip.NewWriter(o.w)
		o.to = o.zip
	}
}

func (o *renderer) flush() error {
	extend(o.w, len(o.buf))
	_, err := o.to.Write(o.buf)
	o.buf = o.buf[:0]
	return err
}

func (o *renderer) finish() {
	if o.to == nil {
		Body(o.w, o.r, o.contentType, o.buf)
		return
	}
	_ = o.flush() // the client may be gone
	if o.zip != nil {
		_ = o.zip.Close()
	}
}
