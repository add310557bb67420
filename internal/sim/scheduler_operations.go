package sim

import (
	"fmt"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
)

// operations makes operations out of what an offer has: what the framework has
// reserved before it frees, a volume it deletes, or makes larger or smaller; or it reserves some of the rest,
// and makes a volume of the disk. None of that is left for launches. Only
// frameworks that know of stacks of reservations do so.
func (s *schedulerNode) operations(p *purse) []*mesos.Offer_Operation {
	to := p.offer.GetAllocationInfo().GetRole()
	if !s.traits.multiRole || to == "" || to == "*" || s.w.healed || !s.w.once("operations", 0.25) {
		return nil
	}
	if ops := s.resize(p, to); len(ops) > 0 {
		return ops
	}
	if ops := s.undo(p, to); len(ops) > 0 {
		return ops
	}
	return s.reserve(p, to)
}

// resize makes a volume larger, if there is disk that is reserved like it, or
// smaller.
func (s *schedulerNode) resize(p *purse, to string) []*mesos.Offer_Operation {
	if s.w.once("operations", 0.5) {
		return nil
	}
	var volume, addition *mesos.Resource
	for _, r := range p.all() {
		switch n := len(r.Reservations); {
		case r.GetName() != "disk" || n == 0 || r.Reservations[n-1].GetRole() != to:
		case r.Disk != nil && r.Shared == nil:
			volume = r
		case r.Disk == nil && r.Reservations[n-1].GetType() == mesos.Resource_ReservationInfo_DYNAMIC:
			addition = r
		}
	}
	switch {
	case volume == nil:
		return nil
	case addition != nil && s.w.once("operations", 0.5):
		p.without(volume)
		p.without(addition)
		return []*mesos.Offer_Operation{{
			Type: mesos.Offer_Operation_GROW_VOLUME.Enum(), Id: s.operationID(),
			GrowVolume: &mesos.Offer_Operation_GrowVolume{Volume: volume, Addition: addition},
		}}
	}
	p.without(volume)
	return []*mesos.Offer_Operation{{
		Type: mesos.Offer_Operation_SHRINK_VOLUME.Enum(), Id: s.operationID(),
		ShrinkVolume: &mesos.Offer_Operation_ShrinkVolume{
			Volume: volume, Subtract: &mesos.Value_Scalar{Value: new(milli(volume.GetScalar().GetValue() / 3))},
		},
	}}
}

// undo frees what is reserved for the role, and deletes the volumes.
func (s *schedulerNode) undo(p *purse, to string) (ops []*mesos.Offer_Operation) {
	var volumes, reserved []*mesos.Resource
	for _, r := range p.all() {
		switch n := len(r.Reservations); {
		case n == 0 || r.Reservations[n-1].GetType() != mesos.Resource_ReservationInfo_DYNAMIC || r.Reservations[n-1].GetRole() != to:
			continue
		case r.Disk != nil:
			volumes = append(volumes, r)
		default:
			reserved = append(reserved, r)
		}
		p.without(r)
	}
	if len(volumes) > 0 {
		ops = append(ops, &mesos.Offer_Operation{
			Type: mesos.Offer_Operation_DESTROY.Enum(), Destroy: &mesos.Offer_Operation_Destroy{Volumes: volumes}, Id: s.operationID(),
		})
	}
	if len(reserved) > 0 {
		ops = append(ops, &mesos.Offer_Operation{
			Type: mesos.Offer_Operation_UNRESERVE.Enum(), Unreserve: &mesos.Offer_Operation_Unreserve{Resources: reserved}, Id: s.operationID(),
		})
	}
	return ops
}

// reserve reserves some of what is nobody's, and makes a volume of the disk.
func (s *schedulerNode) reserve(p *purse, to string) []*mesos.Offer_Operation {
	var reserved, disks []*mesos.Resource
	for _, part := range []struct {
		name   string
		amount float64
	}{{"cpus", 0.2}, {"mem", 16}, {"disk", 10}} {
		r := p.carveFree(part.name, part.amount)
		if r == nil {
			return nil
		}
		r.Reservations = []*mesos.Resource_ReservationInfo{{Type: mesos.Resource_ReservationInfo_DYNAMIC.Enum(), Role: &to}}
		reserved = append(reserved, r)
		if part.name == "disk" {
			disks = append(disks, s.volume(r))
		}
	}
	ops := []*mesos.Offer_Operation{{
		Type: mesos.Offer_Operation_RESERVE.Enum(), Reserve: &mesos.Offer_Operation_Reserve{Resources: reserved}, Id: s.operationID(),
	}}
	if s.w.once("operations", 0.5) {
		ops = append(ops, &mesos.Offer_Operation{
			Type: mesos.Offer_Operation_CREATE.Enum(), Create: &mesos.Offer_Operation_Create{Volumes: disks}, Id: s.operationID(),
		})
	}
	return ops
}

// volume returns a persistent volume on a disk.
func (s *schedulerNode) volume(disk *mesos.Resource) *mesos.Resource {
	s.noperations++
	v := disk.CloneVT()
	v.Disk = &mesos.Resource_DiskInfo{
		Persistence: &mesos.Resource_DiskInfo_Persistence{Id: new(fmt.Sprintf("%s.v%d", s.name, s.noperations))},
		Volume:      &mesos.Volume{ContainerPath: new("data"), Mode: mesos.Volume_RW.Enum()},
	}
	return v
}

// operationID names an operation, if the framework wants to hear what becomes of
// it.
func (s *schedulerNode) operationID() *mesos.OperationID {
	if s.w.once("operations", 0.5) {
		return nil
	}
	s.noperations++
	return &mesos.OperationID{Value: new(fmt.Sprintf("%s.o%d", s.name, s.noperations))}
}

// operationUpdated takes the outcome of an operation, and acknowledges it.
func (s *schedulerNode) operationUpdated(st *mesos.OperationStatus) {
	if len(st.GetUuid().GetValue()) == 0 {
		return
	}
	s.after(s.ackDelay(), func() {
		s.call(&schedulerpb.Call{
			Type: schedulerpb.Call_ACKNOWLEDGE_OPERATION_STATUS.Enum(),
			AcknowledgeOperationStatus: &schedulerpb.Call_AcknowledgeOperationStatus{
				AgentId: st.AgentId, Uuid: st.Uuid.GetValue(), OperationId: st.OperationId,
			},
		}, nil)
	})
}

// all returns what is left.
func (p *purse) all() []*mesos.Resource {
	if p.left == nil {
		for _, r := range p.offer.Resources {
			p.left = append(p.left, r.CloneVT())
		}
	}
	return p.left
}

// without takes one resource out.
func (p *purse) without(r *mesos.Resource) {
	left := make([]*mesos.Resource, 0, len(p.left))
	for _, other := range p.left {
		if other != r {
			left = append(left, other)
		}
	}
	p.left = left
}

// carveFree takes an amount of what is not reserved; nil if there is not enough.
func (p *purse) carveFree(name string, want float64) *mesos.Resource {
	for _, r := range p.all() {
		if r.GetName() == name && len(r.Reservations) == 0 && r.GetScalar().GetValue() > want+1e-9 {
			c := r.CloneVT()
			c.Scalar.Value = new(want)
			r.Scalar.Value = new(milli(r.GetScalar().GetValue() - want))
			return c
		}
	}
	return nil
}
