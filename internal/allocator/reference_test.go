package allocator

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/ids"
	roles "github.com/meseta-project/meseta/internal/role"
	"github.com/meseta-project/meseta/resources"
)

// A reference decides what to offer of an agent in the obvious way: it keeps
// nothing, but works everything out from what there is at each decision.
type reference struct {
	*Allocator
	now     time.Time
	filters []refFilter
	lent    map[ids.AgentID]resources.Resources
	racks   map[ids.FrameworkID]refRack
	listed  map[string]bool // hosts; nil: all
}

// A refRack is a constraint: in the role only agents of the rack.
type refRack struct{ role, rack string }

// A refFilter is a filter as Mesos has it.
type refFilter struct {
	framework ids.FrameworkID
	role      string
	agent     ids.AgentID
	refused   resources.Resources
	until     time.Time
}

// available returns what nobody has on an agent.
func (r *reference) available(ag *agent) resources.Resources {
	left := ag.total.NonShared()
	for _, h := range ag.holdings {
		left = left.Sub(h.resources.Unallocated().NonShared())
	}
	return left.Add(ag.total.Shared())
}

// consumed returns what quota counts of a tree.
func (r *reference) consumed(top string) resources.Quantities {
	var sum resources.Quantities
	for _, ag := range r.agents {
		sum = sum.Add(ag.total.ReservedUnder(top).ScalarQuantities())
		for _, h := range ag.holdings {
			if r.frameworks[h.framework] != nil {
				sum = sum.Add(subjectToQuota(h.resources).AllocatedUnder(top).ScalarQuantities())
			}
		}
	}
	return sum
}

func (r *reference) unsatisfied(top string) resources.Quantities {
	t := r.trees[top]
	if t == nil {
		return resources.Quantities{}
	}
	return t.quota.Guarantees.Sub(r.consumed(top))
}

// surplus returns what of the unreserved resources guarantees do not need, and
// whether they need any.
func (r *reference) surplus() (resources.Limits, bool) {
	var required, open resources.Quantities
	for name := range r.trees {
		required = required.Add(r.unsatisfied(name))
	}
	for _, ag := range r.agents {
		open = open.Add(subjectToQuota(r.available(ag)).ScalarQuantities())
	}
	var limits []resources.Quantity
	for name, amount := range open.All() {
		limits = append(limits, resources.Quantity{Name: name, Amount: max(0, amount-required.Get(name))})
	}
	return resources.LimitsOf(limits...), !required.IsEmpty()
}

// cap cuts what quota counts: to the limits of the tree, beside what is given
// already, and to the surplus.
func (r *reference) cap(rs resources.Resources, top string, given resources.Quantities) resources.Resources {
	if t := r.trees[top]; t != nil && !t.quota.Limits.IsEmpty() {
		rs = rs.ShrinkWithin(t.quota.Limits.Sub(r.consumed(top)).Sub(given), nil)
	}
	if surplus, needed := r.surplus(); needed {
		rs = rs.ShrinkWithin(surplus, nil)
	}
	return rs
}

// decide returns what a subscription is offered, empty if nothing.
func (r *reference) decide(ag *agent, s *subscription, st stage) (none resources.Resources) {
	f, top := s.framework, roles.Top(s.role.name)
	rs := r.available(ag).Sub(r.lent[ag.id]).AllocatableTo(s.role.name)
	if want, ok := r.racks[f.id]; ok && want.role == s.role.name && rackOf(ag) != want.rack {
		return none
	}
	if region := ag.info.GetDomain().GetFaultDomain().GetRegion().GetName(); region == "there" && !f.can.regions {
		return none
	}
	if ag.total.Scalar("gpus") > 0 && !f.can.gpus || !enough(rs, s.minimums) {
		return none
	}
	rs = rs.Filter(func(e resources.Resource) bool {
		return (!e.IsShared() || f.can.shared) && (!e.IsRevocable() || f.can.revocable) && (!e.IsRefined() || f.can.refinement)
	})
	if f.can.multiRole && !ag.multiRole || strings.Contains(s.role.name, "/") && !ag.hierarchicalRole {
		return none
	}
	counted := subjectToQuota(rs)
	offer := rs.Sub(counted).Add(r.cap(counted, top, resources.Quantities{}))
	if st == guarantees {
		owed := counted.ShrinkTo(r.unsatisfied(top), nil)
		if owed.IsEmpty() {
			return none
		}
		offer = owed.Add(r.cap(counted.Sub(owed), top, owed.ScalarQuantities())).Add(rs.Filter(func(e resources.Resource) bool {
			return e.IsReserved() && e.Role() == s.role.name || !e.IsScalar() || e.IsRevocable()
		}))
	}
	if !enough(offer, s.minimums) || r.filtered(ag, s, offer) {
		return none
	}
	return offer
}

// rackOf returns the first attribute that is called rack.
func rackOf(ag *agent) string {
	for _, attr := range ag.info.GetAttributes() {
		if attr.GetName() == "rack" {
			return attr.GetText().GetValue()
		}
	}
	return ""
}

func (r *reference) filtered(ag *agent, s *subscription, rs resources.Resources) bool {
	return slices.ContainsFunc(r.filters, func(f refFilter) bool {
		return f.framework == s.framework.id && f.role == s.role.name && f.agent == ag.id &&
			r.now.Before(f.until) && f.refused.Contains(rs)
	})
}

// first returns the first offer of an agent, nil if there is none.
func (r *reference) first(ag *agent, st stage) *Offer {
	if !ag.active || r.listed != nil && !r.listed[ag.info.GetHostname()] {
		return nil
	}
	if offer := r.firstOf(ag, st, false); offer != nil {
		return offer
	}
	return r.firstOf(ag, st, true)
}

// firstOf returns the first offer to those who are, or are not, served after
// others.
func (r *reference) firstOf(ag *agent, st stage, behind bool) *Offer {
	for role := range r.order.All() {
		if st == guarantees && r.unsatisfied(roles.Top(role.Path())).IsEmpty() {
			continue
		}
		for client := range role.Value.frameworks.All() {
			s := client.Value
			after := r.now.Before(s.behind) || ag.spurned && r.cfg.Patience > 0 && s.declined >= r.cfg.Patience
			if after != behind {
				continue
			}
			if rs := r.decide(ag, client.Value, st); !rs.IsEmpty() {
				return &Offer{Framework: client.Value.framework.id, Role: role.Path(), Agent: ag.id, Resources: rs.AllocatedTo(role.Path())}
			}
		}
	}
	return nil
}

// drop forgets filters.
func (r *reference) dropFilters(of func(refFilter) bool) {
	r.filters = slices.DeleteFunc(r.filters, of)
}

// A history drives an allocator and the reference.
type history struct {
	*world
	ref        *reference
	agentsMade int
}

// settle runs all there is to do, and compares the first offer of every visit
// and that agents which are not visited would get none.
func (h *history) settle(t *rapid.T) {
	h.ref.now = h.now
	a := h.Allocator
	a.tell(h.now)
	a.now, a.work = h.now, 1<<30
	a.forgive(h.now)
	a.expire(h.now)
	a.batch(h.now)
	a.ripen()
	for a.hasWork() {
		if a.cycle.done() && !a.begin() {
			break
		}
		ag := a.nextAgent()
		if ag == nil {
			continue
		}
		want := h.ref.first(ag, a.cycle.stage)
		offers := a.visit(ag)
		switch {
		case want == nil && len(offers) > 0:
			t.Fatalf("%v is offered, nothing should be", offers[0])
		case want != nil && (len(offers) == 0 || fmt.Sprint(offers[0]) != fmt.Sprint(*want)):
			t.Fatalf("%v is offered, not %v", offers, *want)
		}
		for _, o := range offers {
			k := offerKey{o.Framework, o.Role, o.Agent}
			h.offers[k] = h.offers[k].Add(o.Resources)
			h.ref.lent[o.Agent] = h.ref.lent[o.Agent].Add(o.Resources.Unallocated().Shared())
		}
		if a.cycle.stage == fairShare {
			delete(h.ref.lent, ag.id)
		}
	}
}

// atBatch reports offers that a batch would make and that nobody waits for.
func (h *history) atBatch(t *rapid.T) {
	h.now = h.nextBatch
	h.settle(t)
	for _, id := range sortedKeys(h.agents) {
		ag := h.agents[id]
		if ag.total.Any(resources.Resource.IsShared) {
			continue // offered again with every batch
		}
		if offer := h.ref.first(ag, fairShare); offer != nil {
			t.Fatalf("nobody thinks of offering %v", *offer)
		}
	}
}

func pick[K ~string, V any](t *rapid.T, m map[K]V, what string) K {
	if len(m) == 0 {
		t.Skip("none")
	}
	return rapid.SampledFrom(sortedKeys(m)).Draw(t, what)
}

var (
	someRoles   = []string{"eng", "eng/web", "eng/db", "ops", "*"}
	someAmounts = []string{
		"cpus:4;mem:4096", "cpus:2;mem:1024;ports:[1-10]", "cpus(eng):2;cpus:1;mem:512", "cpus(eng/web):1;mem(ops):256;mem:64",
		"cpus:3;gpus:1;mem:512", "mem:64", "cpus:8;mem:128;disk:100",
	}
	moreAmounts = []string{
		`[{"name":"cpus","type":"SCALAR","scalar":{"value":2}},
		  {"name":"cpus","type":"SCALAR","scalar":{"value":3},"revocable":{}}]`,
		`[{"name":"mem","type":"SCALAR","scalar":{"value":128}},
		  {"name":"disk","type":"SCALAR","scalar":{"value":10},"shared":{},
		   "reservations":[{"type":"DYNAMIC","role":"eng"}],
		   "disk":{"persistence":{"id":"v"},"volume":{"container_path":"p","mode":"RW"}}}]`,
		`[{"name":"cpus","type":"SCALAR","scalar":{"value":2}},{"name":"mem","type":"SCALAR","scalar":{"value":700}},
		  {"name":"cpus","type":"SCALAR","scalar":{"value":1},
		   "reservations":[{"type":"STATIC","role":"eng"},{"type":"DYNAMIC","role":"eng/web"}]}]`,
		`[{"name":"cpus","type":"SCALAR","scalar":{"value":2}},
		  {"name":"disk","type":"SCALAR","scalar":{"value":100},"disk":{"source":{"type":"MOUNT","mount":{"root":"/1"}}}},
		  {"name":"disk","type":"SCALAR","scalar":{"value":30},"disk":{"source":{"type":"MOUNT","mount":{"root":"/2"}}}}]`,
	}
	someQuotas = []string{"", "cpus:2", "cpus:1;mem:1000", "mem:3000", "cpus:10;mem:10000", "cpus:3;disk:50"}
)

func (h *history) framework(t *rapid.T, id ids.FrameworkID) Framework {
	var caps []*mesos.FrameworkInfo_Capability
	for _, c := range []mesos.FrameworkInfo_Capability_Type{
		mesos.FrameworkInfo_Capability_MULTI_ROLE, mesos.FrameworkInfo_Capability_GPU_RESOURCES,
		mesos.FrameworkInfo_Capability_SHARED_RESOURCES, mesos.FrameworkInfo_Capability_REVOCABLE_RESOURCES,
		mesos.FrameworkInfo_Capability_RESERVATION_REFINEMENT, mesos.FrameworkInfo_Capability_REGION_AWARE,
	} {
		if c == mesos.FrameworkInfo_Capability_MULTI_ROLE || rapid.Bool().Draw(t, c.String()) {
			caps = append(caps, &mesos.FrameworkInfo_Capability{Type: c.Enum()})
		}
	}
	own := rapid.SliceOfNDistinct(rapid.SampledFrom(someRoles), 1, 3, rapid.ID[string]).Draw(t, "roles")
	f := Framework{ID: id, Info: &mesos.FrameworkInfo{Roles: own, Capabilities: caps}, Active: true}
	if rapid.Bool().Draw(t, "suppressed") {
		f.Suppressed = own[:1]
	}
	if least := rapid.SampledFrom([]string{"none", "", "mem:600", "disk:30"}).Draw(t, "minimum"); least != "none" {
		f.Info.OfferFilters = map[string]*mesos.OfferFilters{own[0]: {MinAllocatableResources: atLeast(least)}}
	}
	delete(h.ref.racks, id)
	if rack := rapid.SampledFrom([]string{"", "", "r1", "r2"}).Draw(t, "constraint"); rack != "" {
		h.ref.racks[id] = refRack{own[0], rack}
		f.Constraints = inRack(own[0], rack)
	}
	return f
}

// atLeast returns minimums of which there is one, or none at all.
func atLeast(text string) *mesos.OfferFilters_MinAllocatableResources {
	m := &mesos.OfferFilters_MinAllocatableResources{}
	if q, err := resources.ParseQuantities(text); err != nil {
		panic(err)
	} else if text != "" {
		m.Quantities = []*mesos.OfferFilters_ResourceQuantities{{Quantities: q.Proto()}}
	}
	return m
}

// inRack returns constraints of which a role's is that agents are in a rack.
func inRack(role, rack string) *Constraints {
	c, err := CompileConstraints(&schedulerpb.OfferConstraints{
		RoleConstraints: map[string]*schedulerpb.OfferConstraints_RoleConstraints{role: {
			Groups: []*schedulerpb.OfferConstraints_RoleConstraints_Group{{
				AttributeConstraints: []*schedulerpb.AttributeConstraint{attributeConstraint("rack:" + rack)},
			}},
		}},
	}, DefaultRegexLimits())
	if err != nil {
		panic(err)
	}
	return c
}

func (h *history) refuse(t *rapid.T) *mesos.Filters {
	if rapid.Bool().Draw(t, "no filter") {
		return nil
	}
	seconds := rapid.SampledFrom([]float64{0, 0.5, 2, 5, 100}).Draw(t, "refuse")
	return &mesos.Filters{RefuseSeconds: &seconds}
}

// recover gives resources back, to both.
func (h *history) recover(k offerKey, rs resources.Resources, filters *mesos.Filters) {
	again := false
	if f := h.frameworks[k.framework]; f != nil && f.subs[k.role] != nil {
		again = f.subs[k.role].declined > 0
	}
	h.Recover(h.now, k.framework, k.agent, rs, filters)
	by := refuseFor(filters, h.cfg.Interval)
	if filters != nil && by == 0 && again {
		by = h.nextBatch.Sub(h.now)
	}
	if by > 0 && !rs.IsEmpty() {
		f := h.frameworks[k.framework]
		if s := f.subs[k.role]; s != nil && s.wanted && f.active {
			h.ref.filters = append(h.ref.filters, refFilter{k.framework, k.role, k.agent, rs.Unallocated(), h.now.Add(by)})
		}
	}
}

func (h *history) offer(t *rapid.T) (offerKey, resources.Resources) {
	byText := map[string]offerKey{}
	for k := range h.offers {
		byText[fmt.Sprint(k)] = k
	}
	k := byText[pick(t, byText, "offer")]
	rs := h.offers[k]
	delete(h.offers, k)
	return k, rs
}

// withdraw recovers the offers that are of.
func (h *history) withdraw(of func(offerKey) bool) {
	byText := map[string]offerKey{}
	for k := range h.offers {
		if of(k) {
			byText[fmt.Sprint(k)] = k
		}
	}
	for _, text := range sortedKeys(byText) {
		h.recover(byText[text], h.offers[byText[text]], nil)
		delete(h.offers, byText[text])
	}
}

// TestReference lives through random histories and compares each decision with
// the reference's.
func TestReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := DefaultConfig()
		cfg.Patience = 2
		cfg.Domain = domain("here")
		h := &history{world: &world{
			Allocator: New(cfg, rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))),
			now:       time.Unix(1_000_000, 0),
			offers:    map[offerKey]resources.Resources{},
		}}
		h.tell(h.now)
		h.slots.gather = 1
		h.ref = &reference{Allocator: h.Allocator, lent: map[ids.AgentID]resources.Resources{}, racks: map[ids.FrameworkID]refRack{}}
		actions := h.actions()
		for range 3 {
			actions["add agent"](t)
			actions["add framework"](t)
		}
		actions[""] = func(t *rapid.T) {
			h.settle(t)
			verify(t, h.Allocator)
			h.explained(t)
		}
		t.Repeat(actions)
	})
}

// explained checks that whoever wants an offer and gets none is told why, on each
// agent: it is said to come next only where the agent is about to be visited.
func (h *history) explained(t *rapid.T) {
	for _, ag := range h.agents {
		if h.all || h.allWaiting || h.pending.has.has(ag.num) || h.waiting.has.has(ag.num) {
			continue
		}
		for _, f := range h.frameworks {
			for _, s := range f.subs {
				if !s.client.Active() || len(h.beyondAgents(s, h.now)) > 0 {
					continue
				}
				if why, _ := h.reason(ag, s, &Query{}); why == Next {
					t.Fatalf("agent %s is said to come next for %s in %s, and it does not", ag.id, f.id, s.role.name)
				}
			}
		}
	}
}

func (h *history) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"add framework": func(t *rapid.T) {
			id := ids.FrameworkID(rapid.SampledFrom([]string{"F", "G", "H"}).Draw(t, "framework"))
			if h.frameworks[id] == nil {
				h.AddFramework(h.framework(t, id))
			}
		},
		"update framework": func(t *rapid.T) {
			id := pick(t, h.frameworks, "framework")
			before := map[string]bool{}
			for _, s := range h.frameworks[id].subs {
				before[s.role.name] = s.suppressed
			}
			f := h.framework(t, id)
			h.UpdateFramework(f)
			h.ref.dropFilters(func(rf refFilter) bool {
				s := h.frameworks[id].subs[rf.role]
				return rf.framework == id && (s == nil || !s.wanted || before[rf.role] && !s.suppressed)
			})
		},
		"remove framework": func(t *rapid.T) {
			id := pick(t, h.frameworks, "framework")
			h.withdraw(func(k offerKey) bool { return k.framework == id })
			h.RemoveFramework(id)
			h.ref.dropFilters(func(f refFilter) bool { return f.framework == id })
		},
		"deactivate framework": func(t *rapid.T) {
			id := pick(t, h.frameworks, "framework")
			h.DeactivateFramework(id)
			h.withdraw(func(k offerKey) bool { return k.framework == id })
			h.ref.dropFilters(func(f refFilter) bool { return f.framework == id })
		},
		"activate framework": func(t *rapid.T) { h.ActivateFramework(pick(t, h.frameworks, "framework")) },
		"revive": func(t *rapid.T) {
			id := pick(t, h.frameworks, "framework")
			role := rapid.SampledFrom(someRoles).Draw(t, "role")
			h.Revive(id, []string{role})
			h.ref.dropFilters(func(f refFilter) bool { return f.framework == id && f.role == role })
		},
		"suppress": func(t *rapid.T) {
			h.Suppress(pick(t, h.frameworks, "framework"), []string{rapid.SampledFrom(someRoles).Draw(t, "role")})
		},
		"add agent": func(t *rapid.T) {
			h.agentsMade++
			id := ids.AgentID(fmt.Sprintf("a%d", h.agentsMade%4))
			if h.agents[id] == nil {
				h.AddAgent(h.agentFor(t, id), nil)
			}
		},
		"update agent": func(t *rapid.T) {
			id := pick(t, h.agents, "agent")
			if !h.agents[id].used.IsEmpty() {
				t.Skip("in use")
			}
			known := h.agentFor(t, id)
			if !slices.EqualFunc(h.agents[id].info.GetAttributes(), known.Info.GetAttributes(), (*mesos.Attribute).EqualVT) {
				h.ref.dropFilters(func(f refFilter) bool { return f.agent == id })
			}
			h.UpdateAgent(known)
		},
		"remove agent": func(t *rapid.T) {
			id := pick(t, h.agents, "agent")
			h.withdraw(func(k offerKey) bool { return k.agent == id })
			h.RemoveAgent(id)
			h.ref.dropFilters(func(f refFilter) bool { return f.agent == id })
		},
		"whitelist": func(t *rapid.T) {
			h.ref.listed = rapid.SampledFrom([]map[string]bool{nil, {"h1": true}, {"h1": true, "h2": true}}).Draw(t, "hosts")
			h.SetWhitelist(h.ref.listed)
		},
		"deactivate agent": func(t *rapid.T) { h.DeactivateAgent(pick(t, h.agents, "agent")) },
		"activate agent":   func(t *rapid.T) { h.ActivateAgent(pick(t, h.agents, "agent")) },
		"decline": func(t *rapid.T) {
			k, rs := h.offer(t)
			h.recover(k, rs, h.refuse(t))
		},
		"launch": func(t *rapid.T) {
			k, rs := h.offer(t)
			task := resources.MustParse("cpus:1;mem:32").AllocatedTo(k.role)
			if !rs.Contains(task) {
				task = resources.Resources{}
			} else {
				h.Accepted(k.framework, k.role)
			}
			h.recover(k, rs.Sub(task), h.refuse(t))
		},
		"finish": func(t *rapid.T) {
			id := pick(t, h.agents, "agent")
			ag := h.agents[id]
			for _, held := range ag.holdings {
				for role, rs := range held.resources.ByAllocation() {
					k := offerKey{held.framework, role, id}
					if left := rs.Sub(h.offers[k]); !left.IsEmpty() && len(held.resources.ByAllocation()) == 1 {
						h.recover(k, left, nil)
						return
					}
				}
			}
		},
		"quota": func(t *rapid.T) {
			g, _ := resources.ParseQuantities(rapid.SampledFrom(someQuotas).Draw(t, "guarantee"))
			l, _ := resources.ParseLimits(rapid.SampledFrom(someQuotas).Draw(t, "limit"))
			h.SetQuota(rapid.SampledFrom([]string{"eng", "ops", "*"}).Draw(t, "role"), Quota{g, l})
		},
		"weight": func(t *rapid.T) {
			h.SetWeight(rapid.SampledFrom(someRoles).Draw(t, "role"), rapid.SampledFrom([]float64{0.5, 1, 2}).Draw(t, "weight"))
		},
		"reserve": func(t *rapid.T) {
			k, rs := h.offer(t)
			part := resources.MustParse("cpus:1")
			typ := mesos.Resource_ReservationInfo_DYNAMIC
			if !rs.Contains(part.AllocatedTo(k.role)) || k.role == "*" {
				h.recover(k, rs, nil)
				return
			}
			reserved, _ := part.PushReservation(&mesos.Resource_ReservationInfo{Role: &k.role, Type: &typ})
			c := resources.Conversion{Consumed: part.AllocatedTo(k.role), Converted: reserved.AllocatedTo(k.role)}
			h.UpdateAllocation(k.framework, k.agent, rs, []resources.Conversion{c})
			after, _ := rs.Apply(c)
			h.recover(k, after, nil)
		},
		"time": func(t *rapid.T) {
			h.now = h.now.Add(rapid.SampledFrom([]time.Duration{500 * time.Millisecond, time.Second, time.Minute}).Draw(t, "time"))
		},
		"batch": h.atBatch,
	}
}

func (h *history) agentFor(t *rapid.T, id ids.AgentID) Agent {
	host := rapid.SampledFrom([]string{"h1", "h2"}).Draw(t, "host")
	a := Agent{ID: id, Info: &mesos.AgentInfo{Hostname: &host}, Total: resources.MustParse(rapid.SampledFrom(append(moreAmounts, someAmounts...)).Draw(t, "total"))}
	for _, rack := range rapid.SampledFrom([][]string{nil, {"r1"}, {"r2", "r1"}}).Draw(t, "racks") {
		a.Info.Attributes = append(a.Info.Attributes, &mesos.Attribute{
			Name: new("rack"), Type: mesos.Value_TEXT.Enum(), Text: &mesos.Value_Text{Value: &rack},
		})
	}
	if region := rapid.SampledFrom([]string{"", "here", "there"}).Draw(t, "region"); region != "" {
		a.Info.Domain = domain(region)
	}
	if rapid.IntRange(0, 4).Draw(t, "old") > 0 {
		a.Capabilities = []mesos.AgentInfo_Capability_Type{mesos.AgentInfo_Capability_MULTI_ROLE, mesos.AgentInfo_Capability_HIERARCHICAL_ROLE}
	}
	return a
}
