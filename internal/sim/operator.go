package sim

import (
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/resources"
)

// operator is who reserves resources of agents for a role, and frees them. What
// is refused, or lost with the master, stays undone.
const operator = "ops"

// operate has operators at work until all is healed, in half of the runs.
func (w *world) operate() {
	if w.once("operator", 0.5) {
		return
	}
	w.operateLater()
}

func (w *world) operateLater() {
	w.after(w.between("operator", time.Second, 20*time.Second), func() {
		if w.healed {
			return
		}
		if m := w.leader; m != nil && m.core != nil {
			w.changeReservations(m)
		}
		w.operateLater()
	})
}

// changeReservations reserves something on an agent, or frees what is.
func (w *world) changeReservations(m *masterNode) {
	r := w.rand("operator")
	var rows []*master.AgentRow
	for row := range m.core.Snapshot().Agents.All() {
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return
	}
	row := rows[r.IntN(len(rows))]
	reserved := row.Total.Filter(resources.Resource.IsDynamicallyReserved)
	if !reserved.IsEmpty() && r.IntN(2) == 0 {
		w.free(m, row.ID, reserved)
		return
	}
	if volumes := reserved.PersistentVolumes(); !volumes.IsEmpty() && r.IntN(2) == 0 {
		w.resize(m, row.ID, volumes.Proto()[0], reserved)
		return
	}
	call := &masterpb.Call{
		Type: masterpb.Call_RESERVE_RESOURCES.Enum(),
		ReserveResources: &masterpb.Call_ReserveResources{
			AgentId: &mesos.AgentID{Value: (*string)(&row.ID)}, Resources: w.reservation(),
		},
	}
	w.note("%s    <- operator %s on %s", m.name, call.GetType(), row.ID)
	m.tell("operator", master.OperatorCall{Principal: operator, Call: call})
}

// resize has an operator make a volume larger by the disk that is reserved like
// it, or smaller.
func (w *world) resize(m *masterNode, id ids.AgentID, volume *mesos.Resource, reserved resources.Resources) {
	on := &mesos.AgentID{Value: (*string)(&id)}
	call := &masterpb.Call{
		Type: masterpb.Call_SHRINK_VOLUME.Enum(),
		ShrinkVolume: &masterpb.Call_ShrinkVolume{
			AgentId: on, Volume: volume, Subtract: &mesos.Value_Scalar{Value: new(milli(volume.GetScalar().GetValue() / 3))},
		},
	}
	for r := range reserved.All() {
		if r.Name() == "disk" && !r.IsPersistentVolume() && r.Role() == volume.Reservations[len(volume.Reservations)-1].GetRole() {
			call = &masterpb.Call{
				Type:       masterpb.Call_GROW_VOLUME.Enum(),
				GrowVolume: &masterpb.Call_GrowVolume{AgentId: on, Volume: volume, Addition: resources.Of(r).Proto()[0]},
			}
		}
	}
	w.note("%s    <- operator %s on %s", m.name, call.GetType(), id)
	m.tell("operator", master.OperatorCall{Principal: operator, Call: call})
}

// freeLater has operators free all that is reserved, again and again until
// nothing is. Tasks could wait for ever for what is kept for others.
func (w *world) freeLater() {
	w.after(5*time.Second, func() {
		if m := w.leader; m != nil && m.core != nil {
			for row := range m.core.Snapshot().Agents.All() {
				for r := range row.Total.Filter(resources.Resource.IsDynamicallyReserved).All() {
					w.free(m, row.ID, resources.Of(r))
				}
			}
		}
		w.freeLater()
	})
}

// free has an operator free reserved resources of an agent, or delete the
// volumes there.
func (w *world) free(m *masterNode, id ids.AgentID, reserved resources.Resources) {
	on := &mesos.AgentID{Value: (*string)(&id)}
	call := &masterpb.Call{
		Type:               masterpb.Call_UNRESERVE_RESOURCES.Enum(),
		UnreserveResources: &masterpb.Call_UnreserveResources{AgentId: on, Resources: reserved.Proto()},
	}
	if volumes := reserved.PersistentVolumes(); !volumes.IsEmpty() {
		call = &masterpb.Call{
			Type:           masterpb.Call_DESTROY_VOLUMES.Enum(),
			DestroyVolumes: &masterpb.Call_DestroyVolumes{AgentId: on, Volumes: volumes.Proto()},
		}
	}
	w.note("%s    <- operator %s on %s", m.name, call.GetType(), id)
	m.tell("operator", master.OperatorCall{Principal: operator, Call: call})
}

// reservation returns something to reserve.
func (w *world) reservation() []*mesos.Resource {
	role := []string{"green", "blue"}[w.rand("operator").IntN(2)]
	rs, err := resources.MustParse("cpus:0.3;mem:48").PushReservation(&mesos.Resource_ReservationInfo{
		Type: mesos.Resource_ReservationInfo_DYNAMIC.Enum(), Role: &role, Principal: new(operator),
	})
	if err != nil {
		fail("operator", "%v", err)
	}
	return rs.Proto()
}
