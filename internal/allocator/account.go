package allocator

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/invariant"
	"github.com/meseta-project/meseta/internal/sorter"
	"github.com/meseta-project/meseta/resources"
)

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// scalars returns the scalars of rs for which counts is true, of which nil is
// all.
func (a *Allocator) scalars(rs resources.Resources, counts func(resources.Resource) bool) sorter.Vector {
	return a.appendScalars(make(sorter.Vector, 0, 4), rs, counts)
}

// appendScalars is scalars in v, which is empty.
func (a *Allocator) appendScalars(v sorter.Vector, rs resources.Resources, counts func(resources.Resource) bool) sorter.Vector {
	for r := range rs.All() {
		if !r.IsScalar() || counts != nil && !counts(r) {
			continue
		}
		i := a.names.Index(r.Name())
		for i >= len(v) {
			v = append(v, 0)
		}
		v[i] += int64(r.Amount())
	}
	return v
}

// beside returns the scalars of rs, of which shared ones that a holder has
// already, in the same role, do not count again.
func (a *Allocator) beside(rs, has resources.Resources) sorter.Vector {
	return a.scalars(rs, func(r resources.Resource) bool {
		return !r.IsShared() || !has.Any(func(h resources.Resource) bool {
			return h.IsShared() && h.Name() == r.Name() && h.Role() == r.Role() &&
				h.PersistenceID() == r.PersistenceID() && h.AllocationRole() == r.AllocationRole()
		})
	})
}

// everybody returns what all frameworks have on an agent, allocated to roles.
func (ag *agent) everybody() resources.Resources {
	var all []resources.Resources
	for _, h := range ag.holdings {
		all = append(all, h.resources)
	}
	return resources.Sum(all...)
}

// A charge is what counts for the shares of a framework in a role and of the
// role.
type charge struct {
	to        *subscription
	own, role sorter.Vector
	quota     sorter.Vector // what of it quota counts
}

// weigh sets c to what it counts that the subscription has resources of an
// agent beside what it and all others have there, which does not include them.
func (a *Allocator) weigh(c *charge, ag *agent, s *subscription, rs resources.Resources) {
	c.to = s
	if !rs.Any(resources.Resource.IsShared) {
		c.own = a.appendScalars(c.own[:0], rs, nil)
		if c.role, c.quota = c.own, c.own; !plain(rs) {
			c.quota = a.scalars(rs, countsForQuota)
		}
		return
	}
	var has resources.Resources
	if h := ag.held(s.framework.id); h != nil {
		has = h.resources
	}
	c.own, c.role, c.quota = a.beside(rs, has), a.beside(rs, ag.everybody()), a.scalars(rs, countsForQuota)
}

// plain reports whether nothing is reserved, revocable or shared.
func plain(rs resources.Resources) bool {
	return !rs.Any(func(r resources.Resource) bool { return r.IsReserved() || r.IsRevocable() || r.IsShared() })
}

// add counts a charge for shares. For quota it is counted already.
func (a *Allocator) add(c *charge) {
	c.to.role.frameworks.Allocated(c.to.client, c.own)
	a.order.Allocated(c.to.role.client, c.role)
}

// hold makes a framework, known or not, have resources on an agent.
func (a *Allocator) hold(ag *agent, id ids.FrameworkID, rs resources.Resources) {
	if rs.IsEmpty() {
		return
	}
	f := a.frameworks[id]
	if f == nil && ag.held(id) == nil {
		a.orphan[id] = append(a.orphan[id], ag)
	}
	if f != nil {
		if ag.held(id) == nil {
			f.agents++
		}
		for name, part := range parts(rs) {
			invariant.Check(name != "", "what a framework has is allocated to a role", "framework_id", id, "resources", rs)
			var c charge
			a.weigh(&c, ag, a.subscription(f, name), part)
			a.consume(c.to.role.tree, c.quota, 1)
			a.add(&c)
		}
	}
	a.take(ag, id, rs)
}

// release makes resources that a framework, known or not, has on an agent
// available. Bare are the same, allocated to nobody.
func (a *Allocator) release(ag *agent, id ids.FrameworkID, rs, bare resources.Resources) {
	a.give(ag, id, rs, bare)
	f := a.frameworks[id]
	if f == nil {
		a.unorphan(ag, id)
		return
	}
	for name, part := range parts(rs) {
		s := a.subscription(f, name)
		c := &a.scratch
		a.weigh(c, ag, s, part)
		s.role.frameworks.Unallocated(s.client, c.own)
		a.order.Unallocated(s.role.client, c.role)
		a.consume(s.role.tree, c.quota, -1)
		a.drop(s)
	}
}

// unorphan forgets that an unknown framework has something on an agent, if it
// has nothing any more.
func (a *Allocator) unorphan(ag *agent, id ids.FrameworkID) {
	if ag.held(id) != nil {
		return
	}
	a.orphan[id] = slices.DeleteFunc(a.orphan[id], func(o *agent) bool { return o == ag })
	if len(a.orphan[id]) == 0 {
		delete(a.orphan, id)
	}
}

// Allocate makes a framework, which may be unknown yet, have resources,
// allocated to its roles, that it was not offered: what an agent reports of
// tasks that the master did not know of.
func (a *Allocator) Allocate(id ids.FrameworkID, agent ids.AgentID, rs resources.Resources) {
	a.hold(a.agent(agent), id, rs)
}

// Recover takes back resources that were offered to a framework or used by it,
// allocated to one role. Without filters (nil: tasks that ended, offers
// rescinded or timed out, what an operation changed) the agent becomes a
// candidate at once. With filters (a refusal, the rest of an ACCEPT) the
// framework does not get what it refused for RefuseSeconds, by default and if
// negative 5, at most 365 days, at least the interval; and if RefuseSeconds is
// 0, nobody gets it before the next batch, or the framework alone does not if it has
// used nothing since it declined last. Agent and framework may be unknown,
// for what has been removed meanwhile.
func (a *Allocator) Recover(now time.Time, id ids.FrameworkID, agent ids.AgentID, rs resources.Resources, filters *mesos.Filters) {
	a.tell(now)
	ag := a.agents[agent]
	if ag == nil || rs.IsEmpty() {
		return
	}
	if f := a.frameworks[id]; f == nil && ag.held(id) == nil {
		return
	}
	role := allocatedTo(rs)
	bare := rs.Unallocated()
	a.release(ag, id, rs, bare)
	if filters == nil {
		a.suggest(ag)
		return
	}
	refuse := refuseFor(filters, a.cfg.Interval)
	if f := a.frameworks[id]; f != nil {
		if s := f.subs[role]; s != nil && s.wanted && f.active {
			if refuse == 0 && s.declined > 0 {
				refuse = a.nextBatch.Sub(now)
			}
			a.decline(ag, s, now, refuse)
			if refuse > 0 {
				a.refuse(ag, s, bare, now.Add(refuse))
			}
		}
	}
	if refuse == 0 {
		a.wait(ag)
		return
	}
	a.suggest(ag)
}

// allocatedTo returns the one role that resources are allocated to.
func allocatedTo(rs resources.Resources) string {
	role, one := rs.AllocationRole()
	if !one || role == "" {
		invariant.Fail("resources are allocated to one role", "resources", rs)
	}
	return role
}

// parts yields rs divided by the role it is allocated to.
func parts(rs resources.Resources) iter.Seq2[string, resources.Resources] {
	return func(yield func(string, resources.Resources) bool) {
		if role, one := rs.AllocationRole(); one {
			yield(role, rs)
			return
		}
		all := rs.ByAllocation()
		for _, role := range sortedKeys(all) {
			if !yield(role, all[role]) {
				return
			}
		}
	}
}

// UpdateAllocation applies conversions (those of RESERVE and the like) to
// resources that a framework was offered, and to the agent's total. The
// conversions' resources are allocated to the same role as those offered, and
// must apply to them. A conversion into nothing takes its resources off the
// agent, until it comes back with UpdateAgent.
func (a *Allocator) UpdateAllocation(id ids.FrameworkID, agent ids.AgentID, offered resources.Resources, conversions []resources.Conversion) {
	ag, f := a.agent(agent), a.framework(id)
	role := allocatedTo(offered)
	updated, err := offered.Apply(conversions...)
	invariant.Check(err == nil, "conversions apply to what was offered", "error", err)
	total := a.convert(ag.total, conversions)

	s := f.subs[role]
	h := ag.held(id)
	invariant.Check(s != nil && h != nil && h.resources.Contains(offered), "what is converted was offered", "framework_id", id, "agent_id", agent, "resources", offered)
	change := a.scalars(updated, nil)
	change.Sub(a.scalars(offered, nil))
	s.role.frameworks.Changed(s.client, change)
	a.order.Changed(s.role.client, change)
	a.consume(s.role.tree, a.scalars(updated, countsForQuota), 1)
	a.consume(s.role.tree, a.scalars(offered, countsForQuota), -1)
	h.resources = h.resources.Sub(offered).Add(updated)
	ag.used = ag.used.Sub(offered.Unallocated()).Add(updated.Unallocated())
	a.resize(ag, total)
}

// convert applies conversions of allocated resources to an agent's total. One
// that consumes nothing is a further copy of a shared volume, which the total
// has once.
func (a *Allocator) convert(total resources.Resources, conversions []resources.Conversion) resources.Resources {
	for _, c := range conversions {
		if c.Consumed.IsEmpty() {
			continue
		}
		after, err := total.Apply(resources.Conversion{Consumed: c.Consumed.Unallocated(), Converted: c.Converted.Unallocated()})
		invariant.Check(err == nil, "conversions apply to the agent's total", "error", err)
		total = after
	}
	return total
}

// UpdateAvailable applies conversions, of resources allocated to nobody, to
// what is available on an agent (operators' RESERVE and the like). It fails
// with a refusal, and changes nothing, if they do not apply: the master may
// rescind offers and try again. The agent becomes a candidate.
func (a *Allocator) UpdateAvailable(agent ids.AgentID, conversions []resources.Conversion) error {
	ag := a.agent(agent)
	if _, err := ag.available.Apply(conversions...); err != nil {
		return err
	}
	a.resize(ag, a.convert(ag.total, conversions))
	a.suggest(ag)
	return nil
}

// Available returns what is neither offered nor used on an agent.
func (a *Allocator) Available(agent ids.AgentID) resources.Resources { return a.agent(agent).available }
