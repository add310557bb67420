package allocator

import (
	"slices"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/invariant"
	"github.com/meseta-project/meseta/internal/sorter"
	"github.com/meseta-project/meseta/resources"
)

// An agent is one that the master has added and not removed. What visits look at
// comes first and together, so that a cycle over many takes less from memory.
type agent struct {
	available resources.Resources
	num       uint32 // index in Allocator.byNum
	active    bool
	// plain: nothing available is reserved, revocable or shared, so that it
	// is the same for all roles and all frameworks.
	plain bool
	sound bool // blocked is right
	// spurned: who is doubted has declined it, and nobody was offered it since.
	spurned bool

	multiRole, hierarchicalRole bool
	gpus                        bool
	remote                      bool // in another region than the master

	checked     uint64       // the version of slots that blocked is right for
	heldBack    uint64       // the epoch in which nothing but quota stood in the way
	maintenance *maintenance // nil: it is not going to be unavailable

	blocked  bitset              // slots that can get nothing as things are
	lent     resources.Resources // shared volumes offered in this cycle
	reserved map[string]bool     // roles that something available is reserved to
	info     *mesos.AgentInfo

	id       ids.AgentID
	used     resources.Resources // of all holdings, allocated to nobody
	holdings []holding
	open     sorter.Vector // scalars available that count for quota
	near     [4]int64      // where open is, unless it is longer

	refusals

	total resources.Resources
	size  sorter.Vector // scalars of total
}

// A holding is what a framework has on an agent, allocated to its roles.
type holding struct {
	framework ids.FrameworkID
	resources resources.Resources
}

// held returns what the framework has, nil if nothing.
func (ag *agent) held(id ids.FrameworkID) *holding {
	for i := range ag.holdings {
		if ag.holdings[i].framework == id {
			return &ag.holdings[i]
		}
	}
	return nil
}

// holding returns what the framework has, made if need be.
func (ag *agent) holding(id ids.FrameworkID) *holding {
	if h := ag.held(id); h != nil {
		return h
	}
	ag.holdings = append(ag.holdings, holding{framework: id})
	return &ag.holdings[len(ag.holdings)-1]
}

// take gives resources to a framework.
func (a *Allocator) take(ag *agent, id ids.FrameworkID, rs resources.Resources) {
	h := ag.holding(id)
	h.resources = h.resources.Add(rs)
	ag.used = ag.used.Add(rs.Unallocated())
	a.settle(ag)
}

// give takes resources, which it has, from a framework, and remembers nothing
// any more of whom the agent is no use to. Bare are the same, allocated to
// nobody.
func (a *Allocator) give(ag *agent, id ids.FrameworkID, rs, bare resources.Resources) {
	h := ag.held(id)
	if h == nil || !h.resources.Contains(rs) {
		invariant.Fail("what a framework gives back it has", "framework_id", id, "agent_id", ag.id, "resources", rs)
	}
	if h.resources = h.resources.Sub(rs); h.resources.IsEmpty() {
		ag.holdings = slices.DeleteFunc(ag.holdings, func(h holding) bool { return h.framework == id })
		if f := a.frameworks[id]; f != nil {
			f.agents--
		}
	}
	ag.used = ag.used.Sub(bare)
	a.settle(ag)
	ag.sound = false
}

// settle works out what is available: what nobody has, and whatever can be
// shared.
func (a *Allocator) settle(ag *agent) {
	ag.available = ag.total.Sub(ag.used)
	if ag.total.Any(resources.Resource.IsShared) {
		ag.available = ag.total.NonShared().Sub(ag.used.NonShared()).Add(ag.total.Shared())
	}
	a.survey(ag)
}

// survey works out what follows from what is available.
func (a *Allocator) survey(ag *agent) {
	ag.plain = true
	clear(ag.reserved)
	for r := range ag.available.All() {
		if r.IsReserved() {
			if ag.reserved == nil {
				ag.reserved = map[string]bool{}
			}
			ag.reserved[r.Role()] = true
		}
		ag.plain = ag.plain && !r.IsReserved() && !r.IsRevocable() && !r.IsShared()
	}
	a.headroom.Sub(ag.open)
	ag.open = a.appendScalars(ag.near[:0], ag.available, countsForQuota)
	a.headroom.Add(ag.open)
	if a.quotas > 0 {
		a.epoch++
	}
}

// AddAgent adds an agent, active, with what frameworks have on it: known ones,
// and such as are added later. The agent becomes a candidate.
func (a *Allocator) AddAgent(known Agent, used map[ids.FrameworkID]resources.Resources) {
	invariant.Check(a.agents[known.ID] == nil, "an agent is added once", "agent_id", known.ID)
	ag := &agent{id: known.ID, active: true}
	a.number(ag)
	a.agents[ag.id] = ag
	a.describeAgent(ag, known)
	for _, id := range sortedKeys(used) {
		a.hold(ag, id, used[id])
	}
	a.suggest(ag)
}

// number gives the agent a number.
func (a *Allocator) number(ag *agent) {
	if n := len(a.free); n > 0 {
		ag.num, a.free = a.free[n-1], a.free[:n-1]
		a.byNum[ag.num] = ag
		return
	}
	ag.num = uint32(len(a.byNum))
	a.byNum, a.everyone = append(a.byNum, ag), append(a.everyone, ag.num)
}

// describeAgent takes over what is known of an agent and reports whether
// anything changed.
func (a *Allocator) describeAgent(ag *agent, from Agent) {
	ag.info = from.Info
	ag.multiRole = slices.Contains(from.Capabilities, mesos.AgentInfo_Capability_MULTI_ROLE)
	ag.hierarchicalRole = slices.Contains(from.Capabilities, mesos.AgentInfo_Capability_HIERARCHICAL_ROLE)
	ag.remote = remote(a.cfg.Domain, from.Info.GetDomain())
	a.resize(ag, from.Total)
}

// remote reports whether an agent is in another region than the master. What
// has no domain is where the master is.
func remote(master, agent *mesos.DomainInfo) bool {
	m, o := master.GetFaultDomain(), agent.GetFaultDomain()
	return m != nil && o != nil && m.GetRegion().GetName() != o.GetRegion().GetName()
}

// resize gives the agent another total.
func (a *Allocator) resize(ag *agent, total resources.Resources) {
	size := a.scalars(total, nil)
	if !slices.Equal(size, ag.size) {
		a.total.Change(ag.size, size)
	}
	a.reserve(ag.total, -1)
	a.reserve(total, 1)
	ag.total, ag.size = total, size
	ag.gpus = total.Scalar("gpus") > 0
	a.settle(ag)
	ag.sound = false
}

// UpdateAgent tells what is known of an agent now. Filters on it are dropped
// if its attributes changed. The agent becomes a candidate if anything did.
func (a *Allocator) UpdateAgent(known Agent) {
	ag := a.agent(known.ID)
	changed := !ag.info.EqualVT(known.Info) || !ag.total.Equal(known.Total) ||
		ag.multiRole != slices.Contains(known.Capabilities, mesos.AgentInfo_Capability_MULTI_ROLE) ||
		ag.hierarchicalRole != slices.Contains(known.Capabilities, mesos.AgentInfo_Capability_HIERARCHICAL_ROLE)
	if !changed {
		return
	}
	if !slices.EqualFunc(ag.info.GetAttributes(), known.Info.GetAttributes(), (*mesos.Attribute).EqualVT) {
		a.dropFilters(ag)
		if ag.maintenance != nil {
			clear(ag.maintenance.refused)
		}
	}
	a.describeAgent(ag, known)
	a.suggest(ag)
}

// ActivateAgent makes an agent be offered again, from the next batch on.
func (a *Allocator) ActivateAgent(id ids.AgentID) {
	ag := a.agent(id)
	ag.active = true
	a.wait(ag)
}

// DeactivateAgent stops offers of an agent. What is offered and used stays.
func (a *Allocator) DeactivateAgent(id ids.AgentID) { a.agent(id).active = false }

// RemoveAgent forgets an agent, what frameworks have on it and their filters.
// The master must not recover anything of it afterwards.
func (a *Allocator) RemoveAgent(id ids.AgentID) {
	ag := a.agent(id)
	for len(ag.holdings) > 0 {
		h := ag.holdings[0]
		a.release(ag, h.framework, h.resources, h.resources.Unallocated())
	}
	a.dropFilters(ag)
	a.resize(ag, resources.Resources{})
	delete(a.agents, id)
	delete(a.maintained, id)
	ag.maintenance = nil
	a.byNum[ag.num] = nil
	a.free = append(a.free, ag.num)
	ag.active = false
}
