package wire

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/resources"
)

// legacyScalars are the members that a resources object always has, in the
// order in which Mesos shows them.
var legacyScalars = [...]string{"disk", "mem", "gpus", "cpus"}

// Resources writes the object by which the older endpoints show resources,
// whatever their roles: scalars as doubles, disk, mem, gpus and cpus always;
// ranges and sets as texts; revocable ones under "name_revocable". The messages
// must be valid.
func (w *Writer) Resources(rs []*mesos.Resource) {
	var sums [len(legacyScalars)]resources.Amount
	for _, r := range rs {
		i := slices.Index(legacyScalars[:], r.GetName())
		if i < 0 || r.GetType() != mesos.Value_SCALAR || r.GetRevocable() != nil || r.GetShared() != nil {
			w.ResourceSum(resources.Trusted(rs))
			return
		}
		sums[i] += resources.FromFloat(r.GetScalar().GetValue())
	}
	w.BeginObject()
	for i, name := range legacyScalars {
		w.Key(name).Double(sums[i].Float64())
	}
	w.EndObject()
}

// ResourceSum is Resources for a value of the algebra.
func (w *Writer) ResourceSum(rs resources.Resources) {
	w.BeginObject()
	for _, field := range rs.Legacy() {
		if w.Key(field.Name); field.IsNumber() {
			w.Double(field.Number.Float64())
		} else {
			w.String(field.Text)
		}
	}
	w.EndObject()
}

// Reserved writes an object with what is reserved to each role, each as
// ResourceSum; visible says which roles may be seen, nil means all.
func (w *Writer) Reserved(rs resources.Resources, visible func(role string) bool) {
	w.BeginObject()
	for role, reserved := range byRole(rs, visible) {
		w.Key(role).ResourceSum(reserved)
	}
	w.EndObject()
}

// ReservedFull is Reserved with the whole messages, each role's as
// ResourcesFull.
func (w *Writer) ReservedFull(rs resources.Resources, visible func(role string) bool) {
	w.BeginObject()
	for role, reserved := range byRole(rs, visible) {
		w.Key(role).ResourcesFull(reserved)
	}
	w.EndObject()
}

// byRole yields what is reserved to each visible role, by rising role.
func byRole(rs resources.Resources, visible func(string) bool) func(func(string, resources.Resources) bool) {
	reserved := rs.ByReservation()
	return func(yield func(string, resources.Resources) bool) {
		for _, role := range slices.Sorted(maps.Keys(reserved)) {
			if (visible == nil || visible(role)) && !yield(role, reserved[role]) {
				return
			}
		}
	}
}

// ResourcesFull writes an array of the whole messages, in both forms of
// reservations as far as the older one can express them.
func (w *Writer) ResourcesFull(rs resources.Resources) {
	w.BeginArray()
	for _, r := range rs.Endpoint() {
		w.Message(r)
	}
	w.EndArray()
}

// Quantities writes an object of doubles by name, without names of which there
// is nothing.
func (w *Writer) Quantities(q resources.Quantities) {
	w.BeginObject()
	for name, amount := range q.All() {
		w.Key(name).Double(amount.Float64())
	}
	w.EndObject()
}

// Limits writes an object of doubles by name.
func (w *Writer) Limits(l resources.Limits) {
	w.BeginObject()
	for name, amount := range l.All() {
		w.Key(name).Double(amount.Float64())
	}
	w.EndObject()
}

// scalars writes a map of scalars as an object of doubles by name.
func (w *Writer) scalars(m map[string]*mesos.Value_Scalar) {
	w.BeginObject()
	for _, name := range slices.Sorted(maps.Keys(m)) {
		w.Key(name).Double(m[name].GetValue())
	}
	w.EndObject()
}

// Attributes writes an object of an agent's attributes: scalars as doubles,
// all else as text.
func (w *Writer) Attributes(all []*mesos.Attribute) {
	w.BeginObject()
	for _, a := range all {
		w.Key(a.GetName())
		switch a.GetType() {
		case mesos.Value_SCALAR:
			w.Double(a.GetScalar().GetValue())
		case mesos.Value_RANGES:
			w.end(appendRanges(w.begin(), a.GetRanges()))
		case mesos.Value_SET:
			w.String("{" + strings.Join(a.GetSet().GetItem(), ", ") + "}")
		default:
			w.String(a.GetText().GetValue())
		}
	}
	w.EndObject()
}

// appendRanges appends ranges as a string, "[1-2, 5-7]".
func appendRanges(b []byte, ranges *mesos.Value_Ranges) []byte {
	b = append(b, '"', '[')
	for i, r := range ranges.GetRange() {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = strconv.AppendUint(b, r.GetBegin(), 10)
		b = append(b, '-')
		b = strconv.AppendUint(b, r.GetEnd(), 10)
	}
	return append(b, ']', '"')
}
