package agent

import (
	"log/slog"
	"maps"
	"slices"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/meta"
	"github.com/meseta-project/meseta/internal/status"
	"github.com/meseta-project/meseta/resources"
)

// reserved is what operations have made of the agent's resources, and the
// operations whose outcome has not been acknowledged:
//
//	ApplyOperation        tried         AcknowledgeOperationStatus
//	──────────────▶ (none) ──▶ FINISHED ──────────────────────────▶ (forgotten)
//	                      └──▶ ERROR ────────▲
type reserved struct {
	all     resources.Resources // reservations and volumes, not allocated
	told    resources.Resources // those that the last registration named
	pending map[string]*operation
}

// operation is an operation and the news of it that is on its way.
type operation struct {
	seq    uint64
	proto  *mesos.Operation
	retry  time.Duration
	update *messages.UpdateOperationStatusMessage
}

func (o *operation) order() uint64 { return o.seq }

// operations returns those on the books, the oldest first.
func (r *reserved) operations() []*mesos.Operation {
	var all []*mesos.Operation
	for _, o := range inOrder(r.pending) {
		all = append(all, o.proto)
	}
	return all
}

func (r *reserved) proto() []*mesos.Resource { return r.all.Proto() }

// cover reports whether those of the resources that operations make exist.
func (r *reserved) cover(rs []*mesos.Resource) bool {
	for e := range resources.Trusted(rs).Unallocated().All() {
		if e.NeedsCheckpoint() && !r.all.Contains(resources.Of(e)) {
			return false
		}
	}
	return true
}

// applyOperation handles a change of the agent's resources that the master has
// made in its books, and now has to be made here.
func (a *Agent) applyOperation(m *messages.ApplyOperationMessage) {
	if a.state != Running || a.reserved.pending[string(m.GetOperationUuid().GetValue())] != nil {
		return
	}
	m = upgraded(m)
	st := &mesos.OperationStatus{
		OperationId: m.GetOperationInfo().GetId(), State: mesos.OperationState_OPERATION_FINISHED.Enum(),
		Uuid: &mesos.UUID{Value: a.uuid()}, AgentId: a.info.GetId(),
	}
	err := a.convert(m.GetOperationInfo())
	if err != nil {
		a.log.Error("operation failed", slog.String("why", err.Error()))
		why := err.Error()
		st.State, st.Message = mesos.OperationState_OPERATION_ERROR.Enum(), &why
	}
	a.addOperation(&mesos.Operation{
		FrameworkId: m.GetFrameworkId(), AgentId: a.info.GetId(), Info: m.GetOperationInfo(),
		LatestStatus: st, Statuses: []*mesos.OperationStatus{st}, Uuid: m.GetOperationUuid(),
	})
	a.saveReserved()
	if err != nil { // the master took it for done
		a.tellMaster(a.registration())
	}
}

// convert makes the change in what the agent has.
func (a *Agent) convert(op *mesos.Offer_Operation) error {
	conversions, err := resources.Conversions(op)
	if err != nil {
		return err
	}
	for i := range conversions {
		conversions[i].Consumed = conversions[i].Consumed.Unallocated()
		conversions[i].Converted = conversions[i].Converted.Unallocated()
	}
	total, err := resources.Trusted(a.cfg.Info.GetResources()).WithCheckpointed(a.reserved.all)
	if err != nil {
		return err
	}
	if total, err = total.Apply(conversions...); err != nil {
		return err
	}
	a.setReserved(total.NeedingCheckpoint())
	return nil
}

// setReserved makes and deletes the folders of volumes that come and go.
func (a *Agent) setReserved(all resources.Resources) {
	had, has := a.volumes(a.reserved.all), a.volumes(all)
	a.reserved.all = all
	for _, p := range slices.Sorted(maps.Keys(has)) {
		if _, there := had[p]; !there {
			a.act(MakeVolume{Path: p})
		}
	}
	for _, p := range slices.Sorted(maps.Keys(had)) {
		switch _, stays := has[p]; {
		case stays:
		case had[p].Mount:
			a.act(EmptyVolume{Path: p})
		default:
			a.act(RemoveVolume{Path: p})
		}
	}
}

// volumes returns the persistent volumes among some resources, by their folders.
func (a *Agent) volumes(rs resources.Resources) map[string]Volume {
	out := map[string]Volume{}
	for r := range rs.PersistentVolumes().All() {
		v := volumeOf(a.cfg.WorkDir, r)
		out[v.Path] = v
	}
	return out
}

// saveReserved remembers what operations have made, and tells readers.
func (a *Agent) saveReserved() {
	a.persist(meta.Resources{State: &messages.ResourceState{Resources: a.reserved.proto(), Operations: a.reserved.operations()}})
}

// addOperation tells the master the outcome of an operation until it knows.
func (a *Agent) addOperation(p *mesos.Operation) {
	o := &operation{seq: a.next(), proto: p, retry: status.MinRetry, update: &messages.UpdateOperationStatusMessage{
		FrameworkId: p.GetFrameworkId(), SlaveId: a.info.GetId(), Status: p.GetLatestStatus(), LatestStatus: p.GetLatestStatus(),
		OperationUuid: p.GetUuid(),
	}}
	if a.reserved.pending == nil {
		a.reserved.pending = map[string]*operation{}
	}
	a.reserved.pending[string(p.GetUuid().GetValue())] = o
	a.sendOperation(o)
}

func (a *Agent) sendOperation(o *operation) {
	if a.state == Running {
		a.tellMaster(o.update)
	}
	a.timers.set(timer{timerOperation, operationKey(o)}, a.now.Add(o.retry))
	o.retry = min(2*o.retry, status.MaxRetry)
}

// operationKey names an operation among the timers, where containers are named.
func operationKey(o *operation) ids.ContainerID {
	return ids.ContainerID(o.proto.GetUuid().GetValue())
}

// operationTimeout sends the outcome of an operation again.
func (a *Agent) operationTimeout(key ids.ContainerID) {
	if o := a.reserved.pending[string(key)]; o != nil {
		a.sendOperation(o)
	}
}

// operationAcknowledged forgets an operation whose outcome is known.
func (a *Agent) operationAcknowledged(m *messages.AcknowledgeOperationStatusMessage) {
	o := a.reserved.pending[string(m.GetOperationUuid().GetValue())]
	if o == nil || string(o.update.GetStatus().GetUuid().GetValue()) != string(m.GetStatusUuid().GetValue()) {
		return
	}
	delete(a.reserved.pending, string(m.GetOperationUuid().GetValue()))
	a.timers.cancel(timer{timerOperation, operationKey(o)})
	a.saveReserved()
}

// reconcileOperations answers what became of operations that the master asks
// about: those that are not known here never came.
func (a *Agent) reconcileOperations(m *messages.ReconcileOperationsMessage) {
	for _, q := range m.GetOperations() {
		o := a.reserved.pending[string(q.GetOperationUuid().GetValue())]
		st := &mesos.OperationStatus{State: mesos.OperationState_OPERATION_DROPPED.Enum(), AgentId: a.info.GetId(), OperationId: q.GetOperationId()}
		switch {
		case o == nil && m.GetFrameworkId() != nil:
			st.State = mesos.OperationState_OPERATION_UNKNOWN.Enum()
		case o != nil && m.GetFrameworkId() == nil:
			continue // its outcome is on the way already
		case o != nil:
			st = o.proto.GetLatestStatus().CloneVT()
			st.Uuid = nil
		}
		a.tellMaster(&messages.UpdateOperationStatusMessage{
			FrameworkId: m.GetFrameworkId(), SlaveId: a.info.GetId(), Status: st, OperationUuid: q.GetOperationUuid(),
		})
	}
}

// checkpointResources handles the message by which masters before operations
// told the agent what is reserved.
func (a *Agent) checkpointResources(m *messages.CheckpointResourcesMessage) {
	a.setReserved(resources.Trusted(upgraded(m).GetResources()).Unallocated())
	a.saveReserved()
}
