// Package refusal holds the errors by which Meseta says no to what it was
// asked. A refusal is decided where the rule is known and carries why; each
// edge maps its [Reason] once to what its callers understand: an HTTP status,
// a task state with its reason, an operation state.
package refusal

import (
	"errors"
	"fmt"
)

// A Reason is the kind of a refusal. The set is closed.
type Reason uint8

// The reasons, with the HTTP status that says the same.
const (
	Invalid        Reason = iota + 1 // malformed, or against a rule: 400
	Unauthorized                     // who asks is not known: 401
	Forbidden                        // who asks may not: 403
	NotFound                         // what it is about does not exist: 404
	Conflict                         // what it is about is in a state that forbids it: 409
	Gone                             // what it is about has been, and will not be again: 410
	TooLarge                         // more than a bound of ours admits: 413
	Overloaded                       // a queue or a rate is at its limit, try later: 429
	NotImplemented                   // known, and not done here: 501
	Unavailable                      // not now: recovering, or not the leader: 503
)

var names = [...]string{
	Invalid:        "invalid",
	Unauthorized:   "unauthorized",
	Forbidden:      "forbidden",
	NotFound:       "not found",
	Conflict:       "conflict",
	Gone:           "gone",
	TooLarge:       "too large",
	Overloaded:     "overloaded",
	NotImplemented: "not implemented",
	Unavailable:    "unavailable",
}

// String returns the reason in words.
func (r Reason) String() string {
	if int(r) < len(names) && names[r] != "" {
		return names[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// An Error is a refusal: the message alone tells the caller what is wrong.
type Error struct {
	Reason  Reason
	Message string
}

// Error returns the message, without the reason: it goes to the caller as is.
func (e *Error) Error() string { return e.Message }

// New returns a refusal with a formatted message.
func New(r Reason, format string, args ...any) *Error {
	return &Error{Reason: r, Message: fmt.Sprintf(format, args...)}
}

// ReasonOf returns the reason of the first refusal in err's tree, or 0 if err
// is no refusal.
func ReasonOf(err error) Reason {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	return 0
}

// Invalidf refuses what is malformed or against a rule.
func Invalidf(format string, args ...any) *Error { return New(Invalid, format, args...) }

// Unauthorizedf refuses a caller that is not known.
func Unauthorizedf(format string, args ...any) *Error { return New(Unauthorized, format, args...) }

// Forbiddenf refuses what the caller may not do.
func Forbiddenf(format string, args ...any) *Error { return New(Forbidden, format, args...) }

// NotFoundf refuses what is about something that does not exist.
func NotFoundf(format string, args ...any) *Error { return New(NotFound, format, args...) }

// Conflictf refuses what the present state of a thing forbids.
func Conflictf(format string, args ...any) *Error { return New(Conflict, format, args...) }

// Gonef refuses what is about something that has been and will not be again.
func Gonef(format string, args ...any) *Error { return New(Gone, format, args...) }

// TooLargef refuses what is more than a bound admits.
func TooLargef(format string, args ...any) *Error { return New(TooLarge, format, args...) }

// Overloadedf refuses what would pass the limit of a queue or a rate.
func Overloadedf(format string, args ...any) *Error { return New(Overloaded, format, args...) }

// NotImplementedf refuses what is known and not done here.
func NotImplementedf(format string, args ...any) *Error { return New(NotImplemented, format, args...) }

// Unavailablef refuses what cannot be done now and may be later.
func Unavailablef(format string, args ...any) *Error { return New(Unavailable, format, args...) }
