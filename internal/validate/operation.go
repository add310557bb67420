package validate

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/resources"
)

// A Requester is who wants an operation done.
type Requester struct {
	// Principal is the operator's, or that in the framework's FrameworkInfo;
	// "" if there is none.
	Principal string
	// Framework is nil if it is an operator.
	Framework *Framework
}

// OperationForm refuses an operation without what belongs to its type, or with
// malformed resources. It is asked of each operation of an ACCEPT before
// anything else, and of the tasks of a launch TaskForm is; resources may be in
// either form. A RESERVE of what is reserved already, with its source, is for
// operators only.
func OperationForm(op *mesos.Offer_Operation) error {
	switch op.GetType() {
	case mesos.Offer_Operation_LAUNCH:
		if op.Launch == nil {
			return withoutField("A LAUNCH", "launch")
		}
		return nil
	case mesos.Offer_Operation_LAUNCH_GROUP:
		if op.LaunchGroup == nil {
			return withoutField("A LAUNCH_GROUP", "launch_group")
		}
		return wellFormed(op.LaunchGroup.GetExecutor().GetResources())
	case mesos.Offer_Operation_RESERVE:
		if op.Reserve == nil {
			return withoutField("A RESERVE", "reserve")
		}
		if len(op.Reserve.GetSource()) > 0 {
			return refusal.Invalidf("Reservation updates are not yet implemented for the scheduler API.")
		}
		return wellFormed(op.Reserve.GetResources())
	case mesos.Offer_Operation_UNRESERVE:
		if op.Unreserve == nil {
			return withoutField("An UNRESERVE", "unreserve")
		}
		return wellFormed(op.Unreserve.GetResources())
	default:
		return diskForm(op)
	}
}

func diskForm(op *mesos.Offer_Operation) error {
	switch op.GetType() {
	case mesos.Offer_Operation_CREATE:
		if op.Create == nil {
			return withoutField("A CREATE", "create")
		}
		return wellFormed(op.Create.GetVolumes())
	case mesos.Offer_Operation_DESTROY:
		if op.Destroy == nil {
			return withoutField("A DESTROY", "destroy")
		}
		return wellFormed(op.Destroy.GetVolumes())
	case mesos.Offer_Operation_GROW_VOLUME:
		if op.GrowVolume == nil {
			return refusal.Invalidf("A GROW_VOLUME operation must have the Offer.Operation.grow_volume field set")
		}
		return eachWellFormed(op.GrowVolume.GetVolume(), op.GrowVolume.GetAddition())
	case mesos.Offer_Operation_SHRINK_VOLUME:
		if op.ShrinkVolume == nil {
			return refusal.Invalidf("A SHRINK_VOLUME offer operation must have the Offer.Operation.shrink_volume field set")
		}
		return eachWellFormed(op.ShrinkVolume.GetVolume())
	case mesos.Offer_Operation_CREATE_DISK:
		if op.CreateDisk == nil {
			return withoutField("A CREATE_DISK", "create_disk")
		}
		return eachWellFormed(op.CreateDisk.GetSource())
	case mesos.Offer_Operation_DESTROY_DISK:
		if op.DestroyDisk == nil {
			return withoutField("A DESTROY_DISK", "destroy_disk")
		}
		return eachWellFormed(op.DestroyDisk.GetSource())
	default:
		return refusal.Invalidf("Unknown offer operation")
	}
}

func withoutField(title, field string) error {
	return refusal.Invalidf("%s offer operation must have the Offer.Operation.%s field set.", title, field)
}

func wellFormed(lists ...[]*mesos.Resource) error {
	for _, rs := range lists {
		if err := resources.ValidateAll(rs); err != nil {
			return err
		}
	}
	return nil
}

func eachWellFormed(rs ...*mesos.Resource) error {
	for _, r := range rs {
		if err := resources.Validate(r); err != nil {
			return err
		}
	}
	return nil
}

// TaskForm refuses a task with malformed resources. It is asked of each task of a
// launch after OperationForm.
func TaskForm(t *mesos.TaskInfo) error {
	return wellFormed(t.GetResources(), t.GetExecutor().GetResources())
}

// Operation refuses an operation, other than a launch, that may not be done on
// the agent for who wants it.
func Operation(op *mesos.Offer_Operation, by Requester, a *Agent) error {
	switch op.GetType() {
	case mesos.Offer_Operation_RESERVE:
		return Reserve(op.GetReserve(), by, a)
	case mesos.Offer_Operation_UNRESERVE:
		return Unreserve(op.GetUnreserve())
	case mesos.Offer_Operation_CREATE:
		return Create(op.GetCreate(), by, a)
	case mesos.Offer_Operation_DESTROY:
		return Destroy(op.GetDestroy(), a)
	case mesos.Offer_Operation_GROW_VOLUME:
		return GrowVolume(op.GetGrowVolume(), a)
	case mesos.Offer_Operation_SHRINK_VOLUME:
		return ShrinkVolume(op.GetShrinkVolume(), a)
	case mesos.Offer_Operation_CREATE_DISK:
		return CreateDisk(op.GetCreateDisk())
	case mesos.Offer_Operation_DESTROY_DISK:
		return DestroyDisk(op.GetDestroyDisk())
	default:
		return refusal.Invalidf("Unknown offer operation")
	}
}

// ofOneProvider refuses invalid resources and those of several providers.
func ofOneProvider(ms []*mesos.Resource) (resources.Resources, error) {
	if err := Resources(ms); err != nil {
		return resources.Resources{}, within("Invalid resources", err)
	}
	rs := resources.Trusted(ms)
	return rs, within("Invalid resources", oneProvider(rs))
}

// Reserve refuses a RESERVE of what is not reserved by the request itself, on
// an agent that does not understand the reservation, in another's name, or, by
// a framework, in a role that is not the one the resources are offered in.
func Reserve(op *mesos.Offer_Operation_Reserve, by Requester, a *Agent) error {
	if err := within("Invalid resources", Resources(op.GetResources())); err != nil {
		return err
	}
	if err := within("Invalid source", Resources(op.GetSource())); err != nil {
		return err
	}
	if len(op.GetSource()) > 0 {
		if err := reservationSource(resources.Trusted(op.GetSource()), resources.Trusted(op.GetResources())); err != nil {
			return err
		}
	}
	rs, err := ofOneProvider(op.GetResources())
	if err != nil {
		return err
	}
	for r := range rs.All() {
		if err := reservation(r, by, a); err != nil {
			return err
		}
	}
	if by.Framework != nil {
		return within("Invalid reservation resources", oneAllocation(rs))
	}
	return nil
}

// reservationSource refuses a reservation that would change more than who the
// resources are reserved to.
func reservationSource(source, target resources.Resources) error {
	if err := sameReservations(source); err != nil {
		return within("Invalid source", err)
	}
	if err := sameReservations(target); err != nil {
		return within("Invalid resources", err)
	}
	if !proto.Equal(static(source), static(target)) {
		return refusal.Invalidf("Static reservations cannot be changed, only the agent's --resources: %s vs. %s", source, target)
	}
	if s, t := source.ToUnreserved(), target.ToUnreserved(); !s.Equal(t) {
		return refusal.Invalidf("Source and target resources should refer to identical resource quantities: %s vs. %s",
			s, t)
	}
	return nil
}

// static returns the static reservation of resources that are all reserved
// alike, nil if there is none.
func static(rs resources.Resources) *mesos.Resource_ReservationInfo {
	for r := range rs.All() {
		if stack := r.Reservations(); len(stack) > 0 && stack[0].GetType() == mesos.Resource_ReservationInfo_STATIC {
			return stack[0]
		}
		break
	}
	return nil
}

func sameReservations(rs resources.Resources) error {
	if rs.IsEmpty() {
		return refusal.Invalidf("Resource cannot be empty")
	}
	for one := range rs.All() {
		if rs.Any(func(o resources.Resource) bool { return !o.SameReservations(one) }) {
			return refusal.Invalidf("Mixed reservations are not supported: %s", rs)
		}
		break
	}
	return nil
}

func reservation(r resources.Resource, by Requester, a *Agent) error {
	if !r.IsDynamicallyReserved() {
		return refusal.Invalidf("Resource %s is not dynamically reserved", r)
	}
	if r.IsPersistentVolume() {
		return refusal.Invalidf("A persistent volume %s cannot be reserved for another role: what is in it would be lost."+
			" Please destroy the persistent volume first then reserve the resource", r)
	}
	if err := understood("Resource", "reserved", r, a); err != nil {
		return err
	}
	if err := reservationPrincipal(r, by.Principal); err != nil {
		return err
	}
	if by.Framework != nil {
		return frameworkReservation(r, by.Framework)
	}
	if r.AllocationRole() != "" {
		return refusal.Invalidf("A reserve operation was attempted with an allocated resource," +
			" but the operator API only allows reservations to be made to unallocated resources")
	}
	return nil
}

// understood refuses a reservation that the agent's version cannot have.
func understood(what, done string, r resources.Resource, a *Agent) error {
	if !a.Capabilities.HierarchicalRole && strings.Contains(r.Role(), "/") {
		return refusal.Invalidf("%s %s with reservation for hierarchical role '%s' cannot be %s on"+
			" an agent without HIERARCHICAL_ROLE capability", what, r, r.Role(), done)
	}
	if !a.Capabilities.ReservationRefinement && r.IsRefined() {
		return refusal.Invalidf("%s %s with reservation refinement cannot be %s on"+
			" an agent without RESERVATION_REFINEMENT capability", what, r, done)
	}
	return nil
}

func reservationPrincipal(r resources.Resource, principal string) error {
	stack := r.Reservations()
	switch info := stack[len(stack)-1]; {
	case principal == "":
		return nil
	case info.Principal == nil:
		return refusal.Invalidf("A reserve operation was attempted by principal '%s', but there is a"+
			" reserved resource in the request with no principal set", principal)
	case info.GetPrincipal() != principal:
		return refusal.Invalidf("A reserve operation was attempted by authenticated principal '%s',"+
			" which does not match a reserved resource in the request with principal '%s'",
			principal, info.GetPrincipal())
	}
	return nil
}

// frameworkReservation refuses a reservation in a role other than the one the
// framework was offered the resource in.
func frameworkReservation(r resources.Resource, f *Framework) error {
	switch allocation := r.AllocationRole(); {
	case allocation == "":
		return refusal.Invalidf("A reserve operation was attempted on unallocated resource %s, but"+
			" frameworks can only perform reservations on allocated resources", r)
	case allocation != r.Role():
		return refusal.Invalidf("A reserve operation was attempted for a resource with role '%s', but"+
			" the resource was allocated to role '%s'", r.Role(), allocation)
	case !slices.Contains(f.Roles, allocation):
		return refusal.Invalidf("A reserve operation was attempted for a resource allocated to role '%s',"+
			" but the framework only has roles '%s'", allocation, set(slices.Sorted(slices.Values(f.Roles))))
	}
	return nil
}

// Unreserve refuses an UNRESERVE of what no operation has reserved, and of
// persistent volumes.
func Unreserve(op *mesos.Offer_Operation_Unreserve) error {
	rs, err := ofOneProvider(op.GetResources())
	if err != nil {
		return err
	}
	for r := range rs.All() {
		if !r.IsDynamicallyReserved() {
			return refusal.Invalidf("Resource %s is not dynamically reserved", r)
		}
		if r.IsPersistentVolume() {
			return refusal.Invalidf("A dynamically reserved persistent volume %s cannot be unreserved directly."+
				" Please destroy the persistent volume first then unreserve the resource", r)
		}
	}
	return nil
}
