package resources

import (
	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/refusal"
)

// A Conversion turns some resources into others of the same quantity, as
// offer operations do.
type Conversion struct {
	Consumed, Converted Resources
	// Last is set where Consumed must be all there is of it, as when a shared
	// volume is destroyed.
	Last bool
}

// Apply returns r after the conversions, one after the other. It fails with a
// refusal.Invalid, and nothing is converted, if r lacks what one consumes.
func (r Resources) Apply(conversions ...Conversion) (Resources, error) {
	for _, c := range conversions {
		if !r.Contains(c.Consumed) {
			return Resources{}, refusal.Invalidf("%s does not contain %s", r, c.Consumed)
		}
		r = r.Sub(c.Consumed)
		if c.Last && r.Contains(c.Consumed) {
			return Resources{}, refusal.Invalidf("Persistent volume %s cannot be removed due to"+
				" additional shared copies", c.Consumed)
		}
		r = r.Add(c.Converted)
	}
	return r, nil
}

// PushReservation returns r with a further reservation on top of the stack of
// each entry. It fails with a refusal.Invalid if that does not refine those
// below.
func (r Resources) PushReservation(info *mesos.Resource_ReservationInfo) (Resources, error) {
	if err := validateReservation(info); err != nil {
		return Resources{}, err
	}
	for i := range r.entries {
		if err := validateRefinement(push(r.entries[i].kind, info)); err != nil {
			return Resources{}, err
		}
	}
	return r.each(func(k *kind) *kind { return k.reservedBy(push(k, info)) }), nil
}

// push returns k's stack with info on top.
func push(k *kind, info *mesos.Resource_ReservationInfo) []*mesos.Resource_ReservationInfo {
	n := len(k.reservations)
	return append(k.reservations[:n:n], info)
}

// PopReservation returns r without the innermost reservation of each entry. It
// fails with a refusal.Invalid if one has none.
func (r Resources) PopReservation() (Resources, error) {
	for i := range r.entries {
		if e := &r.entries[i]; !e.IsReserved() {
			return Resources{}, refusal.Invalidf("Resource %s is not reserved", e)
		}
	}
	return r.each(func(k *kind) *kind {
		n := len(k.reservations) - 1
		return k.reservedBy(k.reservations[:n:n])
	}), nil
}

// WithoutPersistence returns r with volumes as the plain, unshared disks they
// are made of.
func (r Resources) WithoutPersistence() Resources {
	return r.each(func(k *kind) *kind {
		if k.disk.GetPersistence() == nil && k.shared == nil {
			return k
		}
		changed := *k
		changed.disk, changed.shared = nil, nil
		if s := k.disk.GetSource(); s != nil {
			changed.disk = &mesos.Resource_DiskInfo{Source: s}
		}
		return canonical(changed)
	})
}

// resized returns e with another amount.
func (r Resource) resized(a Amount) Resources {
	r.amount = a
	return collect([]Resource{r})
}

// Conversions returns what a RESERVE, UNRESERVE, CREATE, DESTROY, GROW_VOLUME
// or SHRINK_VOLUME does to resources. The operation must have been validated;
// those of other types, whose outcome only the agent knows, and what is not
// reserved are refused.
func Conversions(op *mesos.Offer_Operation) ([]Conversion, error) {
	switch op.GetType() {
	case mesos.Offer_Operation_RESERVE:
		return reserve(op.GetReserve())
	case mesos.Offer_Operation_UNRESERVE:
		return unreserve(op.GetUnreserve().GetResources())
	case mesos.Offer_Operation_CREATE:
		return create(op.GetCreate().GetVolumes()), nil
	case mesos.Offer_Operation_DESTROY:
		return destroy(op.GetDestroy().GetVolumes()), nil
	case mesos.Offer_Operation_GROW_VOLUME:
		return grow(op.GetGrowVolume())
	case mesos.Offer_Operation_SHRINK_VOLUME:
		return shrinkVolume(op.GetShrinkVolume())
	case mesos.Offer_Operation_LAUNCH, mesos.Offer_Operation_LAUNCH_GROUP,
		mesos.Offer_Operation_CREATE_DISK, mesos.Offer_Operation_DESTROY_DISK:
		return nil, refusal.Invalidf("Operation not supported")
	default:
		return nil, refusal.Invalidf("Unknown operation")
	}
}

func reserve(op *mesos.Offer_Operation_Reserve) ([]Conversion, error) {
	reserved := Trusted(op.GetResources())
	if err := disjoint(reserved); err != nil {
		return nil, err
	}
	if len(op.GetSource()) > 0 {
		return []Conversion{{Consumed: Trusted(op.GetSource()), Converted: reserved}}, nil
	}
	source, err := reserved.PopReservation()
	if err != nil {
		return nil, err
	}
	return []Conversion{{Consumed: source, Converted: reserved}}, nil
}

// disjoint refuses ranges and sets of which some is reserved twice, in two ways:
// both would seem to be made of what is there once. Mesos does not look.
func disjoint(reserved Resources) error {
	var seen Resources
	for r := range reserved.All() {
		if r.IsScalar() {
			continue
		}
		one := Of(r).ToUnreserved()
		if !one.Sub(seen).Equal(one) {
			return refusal.Invalidf("Resource %s is to be reserved twice", r)
		}
		seen = seen.Add(one)
	}
	return nil
}

func unreserve(rs []*mesos.Resource) ([]Conversion, error) {
	var all []Conversion
	for _, m := range rs {
		reserved := Trusted([]*mesos.Resource{m})
		converted, err := reserved.PopReservation()
		if err != nil {
			return nil, err
		}
		all = append(all, Conversion{Consumed: reserved, Converted: converted})
	}
	return all, nil
}

func create(volumes []*mesos.Resource) []Conversion {
	var all []Conversion
	for _, m := range volumes {
		volume := Trusted([]*mesos.Resource{m})
		all = append(all, Conversion{Consumed: volume.WithoutPersistence(), Converted: volume})
	}
	return all
}

func destroy(volumes []*mesos.Resource) []Conversion {
	var all []Conversion
	for _, m := range volumes {
		volume := Trusted([]*mesos.Resource{m})
		all = append(all, Conversion{Consumed: volume, Converted: volume.WithoutPersistence(), Last: true})
	}
	return all
}

func grow(op *mesos.Offer_Operation_GrowVolume) ([]Conversion, error) {
	volume, addition := entryOf(op.GetVolume()), entryOf(op.GetAddition())
	if volume.HasProvider() {
		return nil, errProvider
	}
	return []Conversion{{
		Consumed:  Of(volume, addition),
		Converted: volume.resized(volume.amount.plus(addition.amount)),
	}}, nil
}

func shrinkVolume(op *mesos.Offer_Operation_ShrinkVolume) ([]Conversion, error) {
	volume, by := entryOf(op.GetVolume()), FromFloat(op.GetSubtract().GetValue())
	if volume.HasProvider() {
		return nil, errProvider
	}
	freed := volume.resized(by).WithoutPersistence()
	return []Conversion{{
		Consumed:  Of(volume),
		Converted: volume.resized(volume.amount - by).Add(freed),
	}}, nil
}

var errProvider = refusal.Invalidf("Operation not supported for resource provider")

// WithCheckpointed returns r, what an agent is configured to have, with the
// dynamic reservations and volumes that were made of it before it restarted.
// It fails with a refusal.Invalid if r has no longer what they are made of.
func (r Resources) WithCheckpointed(made Resources) (Resources, error) {
	for _, e := range made.entries {
		if !e.NeedsCheckpoint() {
			return Resources{}, refusal.Invalidf("Unexpected checkpointed resources %s", e)
		}
		one := Of(e)
		stripped := one.WithoutPersistence().withoutOperations()
		if !r.Contains(stripped) {
			return Resources{}, refusal.Invalidf("Incompatible agent resources: %s does not contain %s", r, stripped)
		}
		r = r.Sub(stripped).Add(one)
	}
	return r, nil
}

// withoutOperations returns r with no reservations but static ones.
func (r Resources) withoutOperations() Resources {
	return r.each(func(k *kind) *kind {
		if len(k.reservations) > 0 && k.reservations[0].GetType() == mesos.Resource_ReservationInfo_STATIC {
			return k.reservedBy(k.reservations[:1:1])
		}
		return k.reservedBy(nil)
	})
}
