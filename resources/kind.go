package resources

import (
	"encoding/binary"
	"slices"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// A kind is all that tells one entry from another apart from how much of it
// there is and to whom it is allocated. Kinds are never changed once made and
// are shared by all entries that derive from one another, so that comparing
// them is mostly comparing pointers.
type kind struct {
	key   string // equal kinds have equal keys; its order is the order of entries
	name  string
	typ   mesos.Value_Type
	role  string // of the innermost reservation, "*" if there is none
	fixed bool   // cannot be cut or joined: taken as a whole or not at all

	reservations []*mesos.Resource_ReservationInfo
	disk         *mesos.Resource_DiskInfo
	provider     *mesos.ResourceProviderID
	revocable    *mesos.Resource_RevocableInfo
	shared       *mesos.Resource_SharedInfo
}

// plain kinds are those of nearly all entries, made once.
var plain = []*kind{
	plainKind("cpus", mesos.Value_SCALAR),
	plainKind("gpus", mesos.Value_SCALAR),
	plainKind("mem", mesos.Value_SCALAR),
	plainKind("disk", mesos.Value_SCALAR),
	plainKind("ports", mesos.Value_RANGES),
}

func plainKind(name string, typ mesos.Value_Type) *kind {
	k := &kind{name: name, typ: typ}
	return k.complete()
}

// kindOf returns the kind of r, whose reservations are given in the form of
// the stack.
func kindOf(r *mesos.Resource, stack []*mesos.Resource_ReservationInfo) *kind {
	k := kind{
		name:         r.GetName(),
		typ:          r.GetType(),
		reservations: stack,
		disk:         r.GetDisk(),
		provider:     r.GetProviderId(),
		revocable:    r.GetRevocable(),
		shared:       r.GetShared(),
	}
	return canonical(k)
}

// canonical returns the kind that stands for all equal to k, or k completed.
func canonical(k kind) *kind {
	if k.isPlain() {
		for _, p := range plain {
			if p.name == k.name && p.typ == k.typ {
				return p
			}
		}
	}
	own := k // so that only this, the rare one, is allocated
	return own.complete()
}

func (k *kind) isPlain() bool {
	return len(k.reservations) == 0 && k.disk == nil && k.provider == nil &&
		k.revocable == nil && k.shared == nil
}

// complete works out what follows from the rest, for a kind that nobody else
// has seen yet.
func (k *kind) complete() *kind {
	k.role = unreserved
	if n := len(k.reservations); n > 0 {
		k.role = k.reservations[n-1].GetRole()
	}
	k.fixed = k.shared == nil && (isFixed(k.disk) || !hasValue(k.typ))
	k.key = string(k.appendKey(make([]byte, 0, 128)))
	return k
}

// isFixed reports whether a disk is exclusive to one user, or has a name under
// which it must remain found: such a disk is never cut or joined.
func isFixed(d *mesos.Resource_DiskInfo) bool {
	if d.GetPersistence() != nil {
		return true
	}
	switch d.GetSource().GetType() {
	case mesos.Resource_DiskInfo_Source_MOUNT, mesos.Resource_DiskInfo_Source_BLOCK:
		return true
	case mesos.Resource_DiskInfo_Source_RAW:
		return d.GetSource().Id != nil
	default:
		return false
	}
}

// hasValue reports whether resources can be of the type. What is not has been
// let through by somebody else, and is taken as a whole.
func hasValue(typ mesos.Value_Type) bool {
	return typ == mesos.Value_SCALAR || typ == mesos.Value_RANGES || typ == mesos.Value_SET
}

// appendKey writes the parts that make entries the same, those first that
// order them for people: the names of old in the order Mesos lists them, then
// the others by name. How a volume is mounted and who made it are no part.
func (k *kind) appendKey(b []byte) []byte {
	b = append(b, rank(k.name))
	b = appendText(b, k.name)
	b = appendNumber(b, int32(k.typ))
	b = appendNumber(b, int32(len(k.reservations)))
	for _, r := range k.reservations {
		b = appendReservation(b, r)
	}
	b = appendPresence(b, k.revocable != nil)
	b = appendPresence(b, k.shared != nil)
	b = appendOptional(b, optional(k.provider != nil, k.provider.GetValue()))
	return appendDisk(b, k.disk)
}

func rank(name string) byte {
	switch name {
	case "cpus":
		return 0
	case "gpus":
		return 1
	case "mem":
		return 2
	case "disk":
		return 3
	case "ports":
		return 4
	default:
		return 5
	}
}

func appendReservation(b []byte, r *mesos.Resource_ReservationInfo) []byte {
	b = appendText(b, r.GetRole())
	b = appendNumber(b, int32(r.GetType()))
	b = appendOptional(b, r.Principal)
	return appendLabels(b, r.Labels)
}

func appendDisk(b []byte, d *mesos.Resource_DiskInfo) []byte {
	b = appendPresence(b, d != nil)
	if d == nil {
		return b
	}
	b = appendSource(b, d.Source)
	return appendOptional(b, optional(d.Persistence != nil, d.GetPersistence().GetId()))
}

func appendSource(b []byte, s *mesos.Resource_DiskInfo_Source) []byte {
	b = appendPresence(b, s != nil)
	if s == nil {
		return b
	}
	b = appendNumber(b, int32(s.GetType()))
	b = appendPresence(b, s.Path != nil)
	b = appendOptional(b, optional(s.GetPath().GetRoot() != "", s.GetPath().GetRoot()))
	b = appendPresence(b, s.Mount != nil)
	b = appendOptional(b, optional(s.GetMount().GetRoot() != "", s.GetMount().GetRoot()))
	b = appendOptional(b, s.Vendor)
	b = appendOptional(b, s.Id)
	b = appendOptional(b, s.Profile)
	return appendLabels(b, s.Metadata)
}

// appendLabels writes labels in an order of its own, since theirs is of no
// importance.
func appendLabels(b []byte, labels *mesos.Labels) []byte {
	b = appendPresence(b, labels != nil)
	if labels == nil {
		return b
	}
	texts := make([]string, 0, len(labels.Labels))
	for _, l := range labels.Labels {
		texts = append(texts, string(appendOptional(appendText(nil, l.GetKey()), l.Value)))
	}
	slices.Sort(texts)
	b = appendNumber(b, int32(len(texts)))
	return append(b, strings.Join(texts, "")...)
}

func appendNumber(b []byte, n int32) []byte {
	return binary.AppendUvarint(b, uint64(uint32(n)))
}

func appendPresence(b []byte, present bool) []byte {
	if present {
		return append(b, 1)
	}
	return append(b, 0)
}

func optional(present bool, s string) *string {
	if !present {
		return nil
	}
	return &s
}

func appendOptional(b []byte, s *string) []byte {
	b = appendPresence(b, s != nil)
	if s == nil {
		return b
	}
	return appendText(b, *s)
}

// appendText writes s so that no other text begins with what is written, in
// the order of texts.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		b = append(b, s[i])
		if s[i] == 0 {
			b = append(b, 0xff)
		}
	}
	return append(b, 0, 0)
}
