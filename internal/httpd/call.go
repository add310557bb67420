package httpd

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/wire"
	"github.com/meseta-project/meseta/recordio"
)

// ReadCall reads the call that a request carries, of at most limit bytes. It
// refuses in Mesos's order: method, content type, size, syntax.
func ReadCall(w http.ResponseWriter, r *http.Request, limit int, call proto.Message) error {
	if err := Method(r, http.MethodPost); err != nil {
		return err
	}
	contentType, err := ContentType(r)
	if err != nil {
		return err
	}
	return readWhole(w, r, contentType, limit, call)
}

func readWhole(w http.ResponseWriter, r *http.Request, contentType string, limit int, call proto.Message) error {
	body, err := ReadBody(w, r, limit)
	if err != nil {
		return err
	}
	if err := wire.Decode(contentType, body, call); err != nil {
		return refusal.Invalidf("%s", err.Error())
	}
	return nil
}

// ReadAgentCall is ReadCall for the agent's API, whose calls may be streamed. Where
// the body is RecordIO the call is its first record, and rest is what follows; the
// caller closes it before it answers. For other bodies rest is nil.
func ReadAgentCall(w http.ResponseWriter, r *http.Request, limit int, call proto.Message) (m Media, rest *Records, err error) {
	if err := Method(r, http.MethodPost); err != nil {
		return m, nil, err
	}
	if m, err = AgentMedia(r); err != nil {
		return m, nil, err
	}
	if m.Content != wire.RecordIO {
		return m, nil, readWhole(w, r, m.Content, limit, call)
	}
	control := http.NewResponseController(w)
	if err := control.EnableFullDuplex(); err != nil {
		return m, nil, err
	}
	_ = control.SetReadDeadline(time.Now().Add(patience)) // in tests there is no connection
	body := &noted{Reader: r.Body}
	rest = &Records{reader: recordio.NewReader(body, limit), body: body, media: m.MessageContent, control: control}
	switch err = rest.Next(call); {
	case err == io.EOF: //nolint:errorlint // Next returns it bare
		err = refusal.Invalidf("Received EOF while reading request body")
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = status(http.StatusRequestTimeout, "The request's body took too long")
	}
	if err != nil {
		rest.Close()
		return m, nil, err
	}
	_ = control.SetReadDeadline(time.Time{})
	return m, rest, nil
}

// Records are calls that a request goes on with.
type Records struct {
	reader  *recordio.Reader
	body    *noted
	media   string
	control *http.ResponseController
}

// noted is a body that notes its end.
type noted struct {
	io.Reader
	ended atomic.Bool
}

func (n *noted) Read(b []byte) (int, error) {
	read, err := n.Reader.Read(b)
	if err != nil {
		n.ended.Store(true)
	}
	return read, err
}

// Next reads the next call. At the end of the request it returns io.EOF.
func (r *Records) Next(call proto.Message) error {
	record, err := r.reader.Next()
	switch {
	case err == io.EOF: //nolint:errorlint // the reader returns it bare between records
		return err
	case errors.Is(err, recordio.ErrTooLarge):
		return refusal.TooLargef("%v", err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case err != nil:
		return refusal.Invalidf("Failed to read the request's body: %v", err)
	}
	if err := wire.Decode(r.media, record, call); err != nil {
		return refusal.Invalidf("%s", err.Error())
	}
	return nil
}

// Interrupt ends a Next under way, and all to come, where the request goes on.
func (r *Records) Interrupt() {
	if !r.body.ended.Load() { // else it is the next request that net/http waits for
		_ = r.control.SetReadDeadline(time.Unix(1, 0))
	}
}

// Close has nobody wait for the rest of the request. No Next is under way.
func (r *Records) Close() { r.Interrupt() }

// Validated says which call it was that validation has refused, as Mesos does.
// name is the message's, such as "scheduler::Call"; a nil error stays nil.
func Validated(name string, err error) error {
	if err == nil {
		return nil
	}
	return refusal.Invalidf("Failed to validate %s: %v", name, err)
}
