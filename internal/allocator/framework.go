package allocator

import (
	"maps"
	"slices"
	"time"

	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/invariant"
	"github.com/meseta-project/meseta/internal/sorter"
	"github.com/meseta-project/meseta/resources"
)

// A framework is one that the master has added and not removed.
type framework struct {
	id          ids.FrameworkID
	info        Framework
	can         capabilities
	active      bool
	subs        map[string]*subscription // by role
	outstanding int                      // offers that it has not answered
	agents      int                      // on how many it has something
	revived     int                      // how often its refusals of inverse offers were dropped
}

// A subscription is a framework in a role: what is offered to. It stays, not
// wanted, while the framework has something in a role that it left.
type subscription struct {
	framework  *framework
	role       *role
	client     *sorter.Client[*subscription]
	slot       uint32
	wanted     bool // the framework is subscribed to the role
	suppressed bool

	declined int           // offers in a row
	declines []pastDecline // the last few, for explanations
	behind   time.Time     // until then others are served before it; zero: none are
	queued   bool          // it is in patience.behind

	minimums []resources.Quantities
	choosy   bool // the minimums are the framework's own
}

// A role is one that frameworks are subscribed to, or still have something in.
type role struct {
	name       string
	tree       *tree
	client     *sorter.Client[*role]
	members    []*subscription
	choosy     int // members that have minimums of their own
	seeking    int // members that want offers now
	frameworks *sorter.Tree[*subscription]
}

// subscription returns the framework's place in a role and makes it if need
// be.
func (a *Allocator) subscription(f *framework, name string) *subscription {
	if s := f.subs[name]; s != nil {
		return s
	}
	r := a.roles[name]
	if r == nil {
		r = &role{name: name, tree: a.tree(name), frameworks: sorter.New[*subscription](&a.total, &sorter.Weights{}, a.cfg.FrameworkOrder, a.rng)}
		r.client = a.order.Add(name, r)
		if a.cfg.RoleOrder == sorter.Random {
			a.order.Activate(r.client) // for good: whoever is there counts for the chances of others
		}
		a.roles[name] = r
		r.tree.roles++
		a.claim(r.tree, 1)
	}
	s := &subscription{framework: f, role: r}
	s.client = r.frameworks.Add(string(f.id), s)
	s.slot = a.slots.take(s)
	f.subs[name] = s
	r.members = append(r.members, s)
	return s
}

// drop forgets a subscription that is neither wanted nor in use.
func (a *Allocator) drop(s *subscription) {
	if s.wanted || !s.client.Allocation().IsZero() {
		return
	}
	s.role.frameworks.Remove(s.client)
	if s.choosy {
		s.role.choosy--
	}
	s.role.members = slices.DeleteFunc(s.role.members, func(m *subscription) bool { return m == s })
	a.slots.retire(s.slot)
	delete(s.framework.subs, s.role.name)
	if len(s.role.members) == 0 {
		a.order.Remove(s.role.client)
		delete(a.roles, s.role.name)
		s.role.tree.roles--
		a.claim(s.role.tree, -1)
		a.prune(s.role.tree)
	}
}

// refresh makes the sorter and the slots agree with whether s is to be served.
func (a *Allocator) refresh(s *subscription) {
	was := s.client.Active()
	if s.wanted && !s.suppressed && s.framework.active {
		s.role.frameworks.Activate(s.client)
		if !was {
			a.seek(s.role, 1)
		}
		a.epoch++
		a.slots.active.add(s.slot)
		return
	}
	s.role.frameworks.Deactivate(s.client)
	if was {
		a.seek(s.role, -1)
	}
	a.slots.active.remove(s.slot)
}

// seek counts how many members of a role want offers. A role of which none does
// is not even passed over.
func (a *Allocator) seek(r *role, by int) {
	r.seeking += by
	switch {
	case a.cfg.RoleOrder == sorter.Random:
	case r.seeking == 0:
		a.order.Deactivate(r.client)
	default:
		a.order.Activate(r.client)
	}
}

// forget drops the filters of s, by giving it a slot without any.
func (a *Allocator) forget(s *subscription) {
	if a.slots.filters(s.slot) > 0 {
		a.slots.retire(s.slot)
		s.slot = a.slots.take(s)
		if !s.behind.IsZero() {
			a.slots.behind.add(s.slot)
		}
		if a.doubts(s) {
			a.slots.doubted.add(s.slot)
		}
	}
	a.refresh(s)
}

// sorted returns the subscriptions of f by role.
func (f *framework) sorted() []*subscription {
	out := make([]*subscription, 0, len(f.subs))
	for _, name := range slices.Sorted(maps.Keys(f.subs)) {
		out = append(out, f.subs[name])
	}
	return out
}

// named returns the subscriptions to the roles, or to all if there are none;
// what the framework is not subscribed to is left out.
func (f *framework) named(roles []string) []*subscription {
	among := setOf(roles)
	return slices.DeleteFunc(f.sorted(), func(s *subscription) bool {
		return !s.wanted || len(roles) > 0 && !among[s.role.name]
	})
}

// setOf returns the set of names, of which a framework may have thousands.
func setOf(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

// AddFramework adds a framework, with whatever agents were added with as its
// own. If it is active all agents become candidates.
func (a *Allocator) AddFramework(fw Framework) {
	invariant.Check(a.frameworks[fw.ID] == nil, "a framework is added once", "framework_id", fw.ID)
	f := &framework{id: fw.ID, subs: map[string]*subscription{}, agents: len(a.orphan[fw.ID])}
	a.frameworks[fw.ID] = f
	a.describe(f, fw)
	for _, ag := range a.orphan[fw.ID] {
		rs := ag.held(fw.ID).resources
		a.give(ag, fw.ID, rs, rs.Unallocated())
		a.hold(ag, fw.ID, rs)
	}
	delete(a.orphan, fw.ID)
	if fw.Active {
		a.all = true
	}
}

// UpdateFramework tells that the framework describes itself anew (UPDATE_FRAMEWORK,
// or SUBSCRIBE of one that is known). Its filters in roles it left, and in
// those that are suppressed no more, are dropped; whether it is active does
// not change. What it may be offered now waits for the next batch.
func (a *Allocator) UpdateFramework(fw Framework) {
	f := a.framework(fw.ID)
	fw.Active = f.active
	a.describe(f, fw)
	var own []uint32
	for _, s := range f.sorted() {
		own = append(own, s.slot)
	}
	a.slots.void(own)
	a.waitAll()
}

// describe takes over what a framework says of itself.
func (a *Allocator) describe(f *framework, fw Framework) {
	f.info, f.active, f.can = fw, fw.Active, capabilitiesOf(fw.Info)
	roles := rolesOf(fw.Info, f.can)
	own, suppressed := setOf(roles), setOf(fw.Suppressed)
	for _, name := range roles {
		s := a.subscription(f, name)
		revived := s.wanted && s.suppressed && !suppressed[name]
		s.wanted, s.suppressed = true, suppressed[name]
		a.setMinimums(s)
		if revived {
			a.forget(s)
		}
		a.refresh(s)
	}
	for _, s := range f.sorted() {
		if !own[s.role.name] {
			a.leave(s)
		}
	}
}

// setMinimums takes over what the framework wants at least in a role.
func (a *Allocator) setMinimums(s *subscription) {
	if s.choosy {
		s.role.choosy--
	}
	s.minimums, s.choosy = minimumsOf(s.framework.info.Info, s.role.name)
	if s.choosy {
		s.role.choosy++
	} else {
		s.minimums = a.cfg.MinAllocatable
	}
}

// leave ends the subscription to a role.
func (a *Allocator) leave(s *subscription) {
	if !s.wanted {
		return
	}
	s.wanted, s.suppressed = false, false
	a.forget(s)
	a.drop(s)
}

// ActivateFramework makes a framework, which has connected, get offers again.
func (a *Allocator) ActivateFramework(id ids.FrameworkID) {
	f := a.framework(id)
	f.active = true
	for _, s := range f.sorted() {
		a.refresh(s)
	}
	a.all = true
}

// DeactivateFramework stops offers to a framework, which has disconnected, and
// drops its filters. What it has stays its own: the master recovers its offers.
func (a *Allocator) DeactivateFramework(id ids.FrameworkID) {
	f := a.framework(id)
	f.active = false
	for _, s := range f.sorted() {
		a.forget(s)
	}
	f.revived++
}

// RemoveFramework forgets a framework and frees all that it has.
func (a *Allocator) RemoveFramework(id ids.FrameworkID) {
	f := a.framework(id)
	for _, ag := range a.byNum {
		if f.agents == 0 {
			break
		}
		if ag == nil {
			continue
		}
		if h := ag.held(id); h != nil {
			a.release(ag, id, h.resources, h.resources.Unallocated())
			a.suggest(ag)
		}
	}
	for _, s := range f.sorted() {
		a.leave(s)
	}
	invariant.Check(len(f.subs) == 0, "a framework that is removed has nothing", "framework_id", id)
	delete(a.frameworks, id)
}

// Suppress stops offers to the framework in the roles, all its own if there
// are none. Filters stay.
func (a *Allocator) Suppress(id ids.FrameworkID, roles []string) {
	for _, s := range a.framework(id).named(roles) {
		s.suppressed = true
		a.refresh(s)
	}
}

// Revive drops the framework's filters in the roles, all its own if there are
// none, and those of inverse offers; ends the roles' suppression; and makes all
// agents candidates.
func (a *Allocator) Revive(id ids.FrameworkID, roles []string) {
	f := a.framework(id)
	for _, s := range f.named(roles) {
		s.suppressed = false
		a.trust(s)
		a.forget(s)
	}
	f.revived++
	a.all = true
}
