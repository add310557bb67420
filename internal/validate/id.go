package validate

import (
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/refusal"
)

// maxContainerID is how long one value of a container ID may be: it becomes a
// folder, beside others that have it as a prefix.
const maxContainerID = 242

// maxNesting bounds how deep containers may be nested. Mesos supports two
// levels; the bound is only there so that a message cannot exhaust the stack.
const maxNesting = 32

// ContainerID refuses a container ID, and those of its parents, that cannot
// name a folder or would be ambiguous in the dotted form.
func ContainerID(id *mesos.ContainerID) error { return containerID(id, maxNesting) }

func containerID(id *mesos.ContainerID, levels int) error {
	value := id.GetValue()
	if err := ids.Validate(ids.ContainerID(value)); err != nil {
		return err
	}
	if len(value) > maxContainerID {
		return refusal.Invalidf("'ContainerID.value' '%s' exceeds the maximum length (%d)", value, maxContainerID)
	}
	if strings.ContainsAny(value, ". ") {
		return refusal.Invalidf("'ContainerID.value' '%s' contains invalid characters", value)
	}
	if id.GetParent() == nil {
		return nil
	}
	if levels == 0 {
		return refusal.Invalidf("'ContainerID' is nested too deep")
	}
	if err := containerID(id.GetParent(), levels-1); err != nil {
		return refusal.Invalidf("'ContainerID.parent' is invalid: %s", err)
	}
	return nil
}

// UUID refuses what is not the 16 bytes of an RFC 4122 UUID.
func UUID(b []byte) error {
	if len(b) == 16 {
		if version := b[6] >> 4; version >= 1 && version <= 5 {
			return nil
		}
	}
	return refusal.Invalidf("Not a valid UUID")
}

// expecting refuses that a field is not there.
func expecting(field string) error {
	return refusal.Invalidf("Expecting '%s' to be present", field)
}

// present returns a refusal that names the field if it is not there.
func present(there bool, field string) error {
	if !there {
		return expecting(field)
	}
	return nil
}

// within puts what was wrong under the heading of where it was.
func within(heading string, err error) error {
	if err == nil {
		return nil
	}
	return refusal.Invalidf("%s: %s", heading, err)
}

// first returns the first error, in order, of the rules.
func first(rules ...func() error) error {
	for _, rule := range rules {
		if err := rule(); err != nil {
			return err
		}
	}
	return nil
}
