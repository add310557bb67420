// Package registry holds what a master must not forget, in memory: which
// agents it admitted, which it gave up, and what operators set. Tasks and
// frameworks are no part of it: a new leader learns of those from the agents.
//
// It is a value with operations and does no I/O. Each operation checks, changes
// the value and returns the changes to store; what was refused changes nothing.
// A store keeps the records under their keys and gives them back to [Load]:
//
//	master             mesos.internal.Registry.Master
//	agents/ID          mesos.internal.Registry.Slave
//	unreachable/ID     mesos.internal.Registry.UnreachableSlave
//	gone/ID            mesos.internal.Registry.GoneSlave
//	machines/HOST|IP   mesos.internal.Registry.Machine
//	maintenance        mesos.internal.Registry with schedules alone
//	weights/ROLE       mesos.internal.Registry.Weight
//	quota/ROLE         mesos.v1.quota.QuotaConfig
//	capabilities       mesos.internal.Registry with minimum_capabilities alone
//
// So a write is as large as what changed, however many agents there are.
package registry

import (
	"errors"
	"iter"
	"slices"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	maintenancepb "github.com/meseta-project/meseta/api/mesos/v1/maintenance"
	quotapb "github.com/meseta-project/meseta/api/mesos/v1/quota"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/cow"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/resources"
)

// A Change is of the record at Key. What it says is encoded when it is stored, not
// by who makes it: a record may be large, and is never changed once it is made.
type Change struct {
	Key    string
	record message // nil if it is to be deleted
}

// Put returns a change as it is stored.
func (c Change) Put() Put {
	if c.record == nil {
		return Put{Key: c.Key}
	}
	return Put{c.Key, encode(c.record)}
}

// A Put sets the record at Key; a nil Value deletes it.
type Put struct {
	Key   string
	Value []byte
}

// ErrConflict is what a store answers to a write that names another version
// than it has: somebody else has written since.
var ErrConflict = errors.New("the registry has another version: another master leads")

// A Batch is changes to be stored as one write. Batches are numbered from 1 in
// the order in which they must be stored.
type Batch struct {
	Seq     uint64
	Changes []Change
}

// Puts returns what batches change, in their order, as it is stored.
func Puts(batches ...*Batch) []Put {
	n := 0
	for _, b := range batches {
		n += len(b.Changes)
	}
	puts := make([]Put, 0, n)
	for _, b := range batches {
		for _, c := range b.Changes {
			puts = append(puts, c.Put())
		}
	}
	return puts
}

// A Registry is for one goroutine at a time. The messages it returns must not
// be changed.
type Registry struct {
	master       *mesos.MasterInfo
	agents       map[ids.AgentID]*messages.Registry_Slave
	unreachable  marks[*messages.Registry_UnreachableSlave]
	gone         marks[*messages.Registry_GoneSlave]
	machines     cow.Table[MachineKey, messages.Registry_Machine]
	schedules    []*maintenancepb.Schedule
	weights      map[string]float64
	quotas       map[string]*quotapb.QuotaConfig
	capabilities []*messages.Registry_MinimumCapability
}

// New returns an empty registry.
func New() *Registry {
	return &Registry{
		agents:      map[ids.AgentID]*messages.Registry_Slave{},
		unreachable: newMarks[*messages.Registry_UnreachableSlave](),
		gone:        newMarks[*messages.Registry_GoneSlave](),
		weights:     map[string]float64{},
		quotas:      map[string]*quotapb.QuotaConfig{},
	}
}

// SetMaster records who leads. It is the first write of every new leader, by
// which it also learns that it may write.
func (r *Registry) SetMaster(info *mesos.MasterInfo) []Change {
	r.master = info
	return []Change{{keyMaster, &messages.Registry_Master{Info: info}}}
}

// Master returns who led last, or nil.
func (r *Registry) Master() *mesos.MasterInfo { return r.master }

// Admit adds an agent that was never seen before.
func (r *Registry) Admit(info *mesos.AgentInfo) ([]Change, error) {
	id := ids.AgentID(info.GetId().GetValue())
	if _, ok := r.agents[id]; ok {
		return nil, refusal.Conflictf("Agent %s is admitted already", id)
	}
	if r.IsGone(id) {
		return nil, refusal.Gonef("Agent has been marked gone")
	}
	return r.put(id, &messages.Registry_Slave{Info: info}), nil
}

// Update changes what is known of an admitted agent.
func (r *Registry) Update(info *mesos.AgentInfo) ([]Change, error) {
	id := ids.AgentID(info.GetId().GetValue())
	old, ok := r.agents[id]
	if !ok {
		return nil, refusal.NotFoundf("Agent %s is not admitted", id)
	}
	return r.put(id, &messages.Registry_Slave{
		Info:        info,
		DrainInfo:   old.DrainInfo,
		Deactivated: old.Deactivated,
	}), nil
}

// MarkUnreachable takes an admitted agent that is not heard of any more off
// the admitted ones; it may come back.
func (r *Registry) MarkUnreachable(id ids.AgentID, at time.Time) ([]Change, error) {
	old, ok := r.agents[id]
	if !ok {
		return nil, refusal.NotFoundf("Agent %s is not admitted", id)
	}
	delete(r.agents, id)
	lost := &messages.Registry_UnreachableSlave{
		Id:          &mesos.AgentID{Value: new(string(id))},
		Timestamp:   timeInfo(at),
		DrainInfo:   old.DrainInfo,
		Deactivated: old.Deactivated,
	}
	r.unreachable.set(id, lost)
	return []Change{{keyAgent(id), nil}, {keyUnreachable(id), lost}}, nil
}

// MarkReachable admits an agent that comes back: one that was unreachable, or
// one that the registry does not know, since unreachable agents are forgotten
// in time.
func (r *Registry) MarkReachable(info *mesos.AgentInfo) ([]Change, error) {
	id := ids.AgentID(info.GetId().GetValue())
	if r.IsGone(id) {
		return nil, refusal.Gonef("Agent has been marked gone")
	}
	if _, ok := r.agents[id]; ok {
		return nil, refusal.Conflictf("Agent %s is admitted already", id)
	}
	back := &messages.Registry_Slave{Info: info}
	lost, ok := r.unreachable.get(id)
	if !ok {
		return r.put(id, back), nil
	}
	r.unreachable.remove(id)
	back.DrainInfo, back.Deactivated = lost.DrainInfo, lost.Deactivated
	return append(r.put(id, back), Change{keyUnreachable(id), nil}), nil
}

// MarkGone bars an agent, admitted or unreachable, from ever coming back.
func (r *Registry) MarkGone(id ids.AgentID, at time.Time) ([]Change, error) {
	_, admitted := r.agents[id]
	_, unreachable := r.unreachable.get(id)
	if !admitted && !unreachable {
		return nil, refusal.NotFoundf("Agent %s is not known", id)
	}
	delete(r.agents, id)
	r.unreachable.remove(id)
	gone := &messages.Registry_GoneSlave{
		Id:        &mesos.AgentID{Value: new(string(id))},
		Timestamp: timeInfo(at),
	}
	r.gone.set(id, gone)
	return []Change{
		{keyAgent(id), nil},
		{keyUnreachable(id), nil},
		{keyGone(id), gone},
	}, nil
}

// Remove takes an agent that left off the admitted ones.
func (r *Registry) Remove(id ids.AgentID) ([]Change, error) {
	if _, ok := r.agents[id]; !ok {
		return nil, refusal.NotFoundf("Agent %s is not admitted", id)
	}
	delete(r.agents, id)
	return []Change{{keyAgent(id), nil}}, nil
}

// SetWeight replaces the weight of a role.
func (r *Registry) SetWeight(role string, weight float64) Change {
	r.weights[role] = weight
	return Change{keyWeight(role), weightRecord(role, weight)}
}

// quotaCapability is what a master must be able to do to lead a cluster that
// has quotas.
const quotaCapability = "QUOTA_V2"

// SetQuotas replaces the quotas of the roles named; one that neither guarantees
// nor limits anything is removed.
func (r *Registry) SetQuotas(configs []*quotapb.QuotaConfig) []Change {
	var changes []Change
	for _, config := range configs {
		change := Change{Key: keyQuota(config.GetRole())}
		if isNoQuota(config) {
			delete(r.quotas, config.GetRole())
		} else {
			r.quotas[config.GetRole()] = config
			change.record = config
		}
		changes = append(changes, change)
	}
	return append(changes, r.require(quotaCapability, len(r.quotas) > 0)...)
}

// isNoQuota reports whether a quota is what roles have that have none.
func isNoQuota(config *quotapb.QuotaConfig) bool {
	return resources.QuantitiesFromProto(config.Guarantees).IsEmpty() && len(config.Limits) == 0
}

// require notes that masters must be able to do something to lead, or need not.
func (r *Registry) require(capability string, needed bool) []Change {
	i := slices.IndexFunc(r.capabilities, func(c *messages.Registry_MinimumCapability) bool {
		return c.GetCapability() == capability
	})
	if needed == (i >= 0) {
		return nil
	}
	if needed {
		r.capabilities = append(slices.Clip(r.capabilities), &messages.Registry_MinimumCapability{Capability: &capability})
	} else {
		r.capabilities = slices.Concat(r.capabilities[:i], r.capabilities[i+1:])
	}
	if len(r.capabilities) == 0 {
		return []Change{{keyCapabilities, nil}}
	}
	return []Change{{keyCapabilities, &messages.Registry{MinimumCapabilities: r.capabilities}}}
}

// Agent returns what is recorded of an admitted agent, or nil.
func (r *Registry) Agent(id ids.AgentID) *messages.Registry_Slave { return r.agents[id] }

// Agents returns the admitted agents by ID.
func (r *Registry) Agents() []*messages.Registry_Slave { return values(r.agents) }

// Len returns how many agents are admitted.
func (r *Registry) Len() int { return len(r.agents) }

// Unreachable returns when an agent was marked unreachable; ok is false if it
// is not.
func (r *Registry) Unreachable(id ids.AgentID) (at *mesos.TimeInfo, ok bool) {
	lost, ok := r.unreachable.get(id)
	return lost.GetTimestamp(), ok
}

// UnreachableLen returns how many agents are unreachable.
func (r *Registry) UnreachableLen() int { return len(r.unreachable.of) }

// IsGone reports whether an agent was marked gone.
func (r *Registry) IsGone(id ids.AgentID) bool {
	_, ok := r.gone.get(id)
	return ok
}

// Machine returns what is recorded of a machine, or nil.
func (r *Registry) Machine(hostname, ip string) *mesos.MachineInfo {
	return r.machines.Get(KeyOfMachine(hostname, ip)).GetInfo()
}

// Machines returns the machines that are draining or down, by name.
func (r *Registry) Machines() []*mesos.MachineInfo { return InOrder(r.machines.All()) }

// MachineList returns the machines that are draining or down, in no order of theirs.
func (r *Registry) MachineList() []*messages.Registry_Machine {
	return slices.AppendSeq(make([]*messages.Registry_Machine, 0, r.machines.Len()), r.machines.All())
}

// MachineRows freezes the machines that are draining or down, for readers.
func (r *Registry) MachineRows() cow.Snapshot[messages.Registry_Machine] {
	return r.machines.Snapshot()
}

// InOrder returns machines by name.
func InOrder(machines iter.Seq[*messages.Registry_Machine]) []*mesos.MachineInfo {
	byName := map[MachineKey]*mesos.MachineInfo{}
	for m := range machines {
		byName[keyOf(m.GetInfo().GetId())] = m.Info
	}
	return values(byName)
}

// Weights returns the weight of each role that has one; it must not be
// changed.
func (r *Registry) Weights() map[string]float64 { return r.weights }

// Quotas returns the quota of each role that has one; it must not be changed.
func (r *Registry) Quotas() map[string]*quotapb.QuotaConfig { return r.quotas }

// Schedules returns the maintenance schedules.
func (r *Registry) Schedules() []*maintenancepb.Schedule { return r.schedules }

// MinimumCapabilities returns what a master must be able to do to lead.
func (r *Registry) MinimumCapabilities() []string {
	var names []string
	for _, c := range r.capabilities {
		names = append(names, c.GetCapability())
	}
	slices.Sort(names)
	return names
}

func (r *Registry) put(id ids.AgentID, agent *messages.Registry_Slave) []Change {
	r.agents[id] = agent
	return []Change{{keyAgent(id), agent}}
}

func timeInfo(t time.Time) *mesos.TimeInfo {
	return &mesos.TimeInfo{Nanoseconds: new(t.UnixNano())}
}
