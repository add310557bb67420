// Package invariant states what can only be false through a bug of ours.
//
// A broken invariant panics with a [*Violation]. The shell around a core
// recovers it once, writes out its flight recorder and ends the process: a
// standby takes the lead, an agent recovers from its checkpoints. Nothing goes
// on with a state known to be wrong. What a user or the world may cause is
// never an invariant: those are refusals and errors.
package invariant

import (
	"fmt"
	"strings"
)

// A Violation is the value of the panic of a broken invariant.
type Violation struct { //nolint:errname // it names what happened, not a kind of error
	Message string // constant text that names the invariant
	Attrs   []any  // alternating keys and values, as for slog
}

// Error returns the message followed by its attributes as key=value.
func (v *Violation) Error() string {
	var b strings.Builder
	b.WriteString("invariant broken: ")
	b.WriteString(v.Message)
	for i := 0; i+1 < len(v.Attrs); i += 2 {
		fmt.Fprintf(&b, " %v=%v", v.Attrs[i], v.Attrs[i+1])
	}
	return b.String()
}

// Check panics with a [*Violation] unless cond holds. The attributes are
// alternating keys and values; they are evaluated and allocated even when cond
// holds, so on a hot path write the condition out and call [Fail], or use [CheckOne].
func Check(cond bool, msg string, attrs ...any) {
	if !cond {
		Fail(msg, attrs...)
	}
}

// CheckOne is Check with one attribute, which costs nothing while cond holds.
func CheckOne[V any](cond bool, msg, key string, value V) {
	if !cond {
		Fail(msg, key, value)
	}
}

// Fail panics with a [*Violation]: the place it stands at cannot be reached.
func Fail(msg string, attrs ...any) {
	panic(&Violation{Message: msg, Attrs: attrs})
}
