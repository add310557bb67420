package httpd

import (
	"net/http"

	"google.golang.org/protobuf/proto"

	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/wire"
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
	body, err := ReadBody(w, r, limit)
	if err != nil {
		return err
	}
	if err := wire.Decode(contentType, body, call); err != nil {
		return refusal.Invalidf("%s", err.Error())
	}
	return nil
}

// Validated says which call it was that validation has refused, as Mesos does.
// name is the message's, such as "scheduler::Call"; a nil error stays nil.
func Validated(name string, err error) error {
	if err == nil {
		return nil
	}
	return refusal.Invalidf("Failed to validate %s: %v", name, err)
}
