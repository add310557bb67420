// Package ids holds the names of things as types, so that an agent's ID is
// never taken for a framework's, and knows how Mesos writes them. All are
// plain strings underneath: the wire's value, comparable, usable as map keys.
package ids

import (
	"fmt"
	"strings"

	"github.com/meseta-project/meseta/internal/refusal"
)

// The types of IDs. Frameworks choose those of their tasks, executors and
// operations; the master gives out the others, except for containers, which
// the agent names.
type (
	// MasterID is a random UUID, fresh at every start of a master: the IDs it
	// gives out begin with it, so those of two masters never meet.
	MasterID string
	// FrameworkID is "<master>-<n>", n padded to four digits.
	FrameworkID string
	// AgentID is "<master>-S<n>". An agent keeps it across restarts.
	AgentID string
	// OfferID is "<master>-O<n>", for inverse offers too.
	OfferID string
	// TaskID is unique within its framework.
	TaskID string
	// ExecutorID is unique within its framework on one agent.
	ExecutorID string
	// OperationID is the framework's own name for an offer operation, by
	// which it asks for feedback.
	OperationID string
)

// FrameworkIDFor returns the n-th framework ID, from 0, of a master.
func FrameworkIDFor(master MasterID, n uint64) FrameworkID {
	return FrameworkID(fmt.Sprintf("%s-%04d", master, n))
}

// AgentIDFor returns the n-th agent ID, from 0, of a master.
func AgentIDFor(master MasterID, n uint64) AgentID {
	return AgentID(fmt.Sprintf("%s-S%d", master, n))
}

// OfferIDFor returns the n-th offer ID, from 0, of a master. Offers and
// inverse offers share the count.
func OfferIDFor(master MasterID, n uint64) OfferID {
	return OfferID(fmt.Sprintf("%s-O%d", master, n))
}

// maxLen is NAME_MAX: an ID becomes a folder on the agent.
const maxLen = 255

// Validate returns a [refusal.Invalid] unless id can name a folder, which is
// what is asked of every framework, agent, task, executor, container and
// persistent volume: not empty, at most 255 bytes, not "." or "..", without
// control characters, '/' and '\'.
func Validate[ID ~string](id ID) error {
	switch s := string(id); {
	case s == "":
		return refusal.Invalidf("ID must not be empty")
	case len(s) > maxLen:
		return refusal.Invalidf("ID must not be greater than %d characters", maxLen)
	case s == "." || s == "..":
		return refusal.Invalidf("'%s' is disallowed", s)
	case strings.ContainsFunc(s, disallowed):
		return refusal.Invalidf("'%s' contains invalid characters", s)
	}
	return nil
}

func disallowed(r rune) bool {
	return r < ' ' || r == 0x7f || r == '/' || r == '\\'
}
