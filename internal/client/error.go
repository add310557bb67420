package client

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Error is an answer that is not a success.
type Error struct {
	// Server that gave it, as host:port.
	Server string
	// Status is the HTTP status: 400 for a call that is wrong, 401 and 403 for
	// one that is not allowed, 503 for a server that is not ready.
	Status int
	// Message is the server's text, possibly empty.
	Message string
}

// Error says who answered what.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s answered %d %s", e.Server, e.Status, http.StatusText(e.Status))
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Temporary says that the same request may well succeed later.
func (e *Error) Temporary() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusTemporaryRedirect:
		return true
	case http.StatusNotImplemented:
		return false
	default:
		return e.Status >= http.StatusInternalServerError
	}
}

// refusal makes an answer an error.
func refusal(answer *http.Response) *Error {
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, maxErrText)) // the status says enough without it
	return &Error{
		Server: answer.Request.URL.Host, Status: answer.StatusCode, Message: strings.TrimSpace(string(text)),
	}
}
