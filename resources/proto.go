package resources

import (
	"slices"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/role"
)

// New returns rs as Resources, or a refusal.Invalid that names the first entry
// that is no valid resource. Both forms of reservations are understood. The
// messages, of which parts are kept, must not be changed afterwards.
func New(rs ...*mesos.Resource) (Resources, error) {
	if err := ValidateAll(rs); err != nil {
		return Resources{}, err
	}
	return Trusted(rs), nil
}

// ValidateAll returns a refusal.Invalid that names the first of rs that is no
// valid resource, or nil.
func ValidateAll(rs []*mesos.Resource) error {
	for _, r := range rs {
		if err := Validate(r); err != nil {
			return refusal.Invalidf("Resource '%s' is invalid: %s", Text(r), err)
		}
	}
	return nil
}

// Trusted returns rs, validated before, as Resources. Only what holds nothing
// is left out. The messages, of which parts are kept, must not be changed
// afterwards.
func Trusted(rs []*mesos.Resource) Resources {
	entries := make([]Resource, 0, len(rs))
	for _, r := range rs {
		entries = append(entries, entryOf(r))
	}
	return collect(entries)
}

// TrustedOne returns r, validated before, as an entry.
func TrustedOne(r *mesos.Resource) Resource { return entryOf(r) }

func entryOf(r *mesos.Resource) Resource {
	e := Resource{
		kind:       kindOf(r, stackOf(r)),
		allocation: r.GetAllocationInfo().GetRole(),
		copies:     1,
	}
	switch r.GetType() {
	case mesos.Value_SCALAR:
		e.amount = FromFloat(r.GetScalar().GetValue())
	case mesos.Value_RANGES:
		e.list = &list{ranges: rangesOf(r.GetRanges())}
	case mesos.Value_SET:
		e.list = &list{set: setOf(r.GetSet().GetItem())}
	default:
	}
	return e
}

func rangesOf(m *mesos.Value_Ranges) Ranges {
	rs := make([]Range, 0, len(m.GetRange()))
	for _, r := range m.GetRange() {
		rs = append(rs, Range{r.GetBegin(), r.GetEnd()})
	}
	return coalesce(rs)
}

func setOf(items []string) []string {
	set := slices.Clone(items)
	slices.Sort(set)
	return slices.Compact(set)
}

// stackOf returns the reservations of r, from whichever form it is in.
func stackOf(r *mesos.Resource) []*mesos.Resource_ReservationInfo {
	if len(r.GetReservations()) > 0 || r.GetRole() == role.Default {
		return r.GetReservations()
	}
	info := &mesos.Resource_ReservationInfo{
		Type: mesos.Resource_ReservationInfo_STATIC.Enum(),
		Role: new(r.GetRole()),
	}
	if d := r.GetReservation(); d != nil {
		info.Type = mesos.Resource_ReservationInfo_DYNAMIC.Enum()
		info.Principal, info.Labels = d.Principal, d.Labels
	}
	return []*mesos.Resource_ReservationInfo{info}
}

// A message is all that a new Resource message of a scalar consists of, in one
// piece of memory.
type message struct {
	resource   mesos.Resource
	scalar     mesos.Value_Scalar
	value      float64
	allocation mesos.Resource_AllocationInfo
	role       string
}

// Proto returns a new message for r, in the form with the stack of
// reservations (post-refinement). Its parts are shared and must not be changed.
func (r Resource) Proto() *mesos.Resource { return fill(&message{}, &r) }

func fill(m *message, r *Resource) *mesos.Resource {
	p := &m.resource
	p.Name, p.Type = &r.kind.name, &r.kind.typ
	p.Reservations, p.Disk, p.ProviderId = r.kind.reservations, r.kind.disk, r.kind.provider
	p.Revocable, p.Shared = r.kind.revocable, r.kind.shared
	if r.allocation != "" {
		m.role = r.allocation
		m.allocation.Role = &m.role
		p.AllocationInfo = &m.allocation
	}
	switch r.kind.typ {
	case mesos.Value_SCALAR:
		m.value = r.amount.Float64()
		m.scalar.Value = &m.value
		p.Scalar = &m.scalar
	case mesos.Value_RANGES:
		p.Ranges = r.list.numbers().proto()
	case mesos.Value_SET:
		p.Set = &mesos.Value_Set{Item: r.list.names()}
	default:
	}
	return p
}

func (a Ranges) proto() *mesos.Value_Ranges {
	all := make([]mesos.Value_Range, len(a))
	m := &mesos.Value_Ranges{Range: make([]*mesos.Value_Range, len(a))}
	for i := range a {
		all[i].Begin, all[i].End = &a[i].Begin, &a[i].End
		m.Range[i] = &all[i]
	}
	return m
}

// Proto returns a new message for each entry, in the form with the stack of
// reservations (post-refinement). Copies of a shared resource are one message.
func (r Resources) Proto() []*mesos.Resource {
	out, messages := make([]*mesos.Resource, len(r.entries)), make([]message, len(r.entries))
	for i := range r.entries {
		out[i] = fill(&messages[i], &r.entries[i])
	}
	return out
}

// PreRefinement is Proto in the older form, with role and reservation. It
// fails if an entry has more than one reservation, which that cannot express.
func (r Resources) PreRefinement() ([]*mesos.Resource, error) {
	out := r.Proto()
	for _, m := range out {
		if err := Downgrade(m); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Endpoint is Proto in both forms at once, as far as the older can express an
// entry. That is how Mesos's endpoints print resources.
func (r Resources) Endpoint() []*mesos.Resource {
	out := r.Proto()
	for _, m := range out {
		inject(m)
	}
	return out
}

// Upgrade changes r from whichever form to that with the stack of
// reservations.
func Upgrade(r *mesos.Resource) {
	r.Reservations = stackOf(r)
	r.Role, r.Reservation = nil, nil
}

// Downgrade changes r, which has the form with the stack of reservations, to
// the older form. It fails, and leaves r alone, if r has more than one.
func Downgrade(r *mesos.Resource) error {
	if len(r.GetReservations()) > 1 {
		return refusal.Invalidf("Cannot downgrade resources containing refined reservations")
	}
	inject(r)
	r.Reservations = nil
	return nil
}

// inject adds the older form to r where it can express r.
func inject(r *mesos.Resource) {
	switch len(r.Reservations) {
	case 0:
		r.Role = new(role.Default)
	case 1:
		info := r.Reservations[0]
		r.Role = new(info.GetRole())
		if info.GetType() == mesos.Resource_ReservationInfo_DYNAMIC {
			r.Reservation = &mesos.Resource_ReservationInfo{Principal: info.Principal, Labels: info.Labels}
		}
	}
}
