package master

import (
	"cmp"
	"container/heap"
	"slices"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/role"
	"github.com/meseta-project/meseta/resources"
)

// A stake is what a top-level role has, without offers and without what is
// ending already, and what it is guaranteed.
type stake struct {
	used, guarantee resources.Quantities
}

// spares reports whether the role has so much beside its guarantee.
func (s *stake) spares(q resources.Quantities) bool {
	left := s.used.Sub(q)
	for name := range q.All() {
		if s.used.Get(name) < q.Get(name) || left.Get(name) < s.guarantee.Get(name) {
			return false
		}
	}
	return true
}

// A rank is a top-level role's place in the order of a plan.
type rank struct {
	name  string
	stake stake
	over  float64 // the largest part of the cluster that it has above its guarantee
	fresh int     // the part of the plan in which that was so

	key    float64       // over when it got its place
	claims turns[*claim] // never empty while it has a place
	place  int
}

// A claim is a framework's place among those that have something in a role.
type claim struct {
	framework *framework
	rank      *rank
	used      resources.Quantities // by the framework, in all roles
	share     float64              // the largest part of the cluster that this is
	fresh     int                  // the part of the plan in which that was so
	next      *task                // the framework's youngest that was not looked at

	key    float64 // share when it got its place
	serial uint64  // that of next then, 0 if there was none
	place  int
}

func (r *rank) at() *int  { return &r.place }
func (c *claim) at() *int { return &c.place }

// before: the role furthest above its guarantee comes first, of its frameworks
// the one that uses most, and of alike ones that with the youngest task.
func (r *rank) before(o *rank) bool {
	if r.key != o.key {
		return r.key > o.key
	}
	return r.claims[0].before(o.claims[0])
}

func (c *claim) before(o *claim) bool {
	if c.key != o.key {
		return c.key > o.key
	}
	return c.serial > o.serial
}

// A victim is what can be revoked only as a whole: a task, or all tasks of an
// executor that ends them together.
type victim struct {
	claim  *claim
	serial uint64 // of its youngest task
	gives  resources.Resources
	amount resources.Quantities // of gives
	tasks  []*task
	gone   bool // chosen, or found not to be possible
}

// A revocationPlan chooses what to revoke for a role that lacks something:
//
//	of the framework furthest above its guarantee the youngest victim, then more
//	on the same agent, in the same order, until nothing is lacking or nothing is
//	left there; if that makes no offer, the agent is spared; and so on.
//
// A victim is chosen only if its role has what it was guaranteed without it, so
// that what all roles together are below their guarantees is never more after a
// plan than before.
//
// It is carried out a part at a time. Between parts anything may happen: what
// roles have is asked anew in each, and a task that is no more is passed over.
// Places in the order are mended when their turn comes, since a plan takes from
// what gave them, and adds nothing.
type revocationPlan struct {
	total   resources.Quantities
	stakeOf func(top string) stake
	usedBy  func(*framework) resources.Quantities

	turns  turns[*rank]
	ranks  map[string]*rank
	claims map[claimKey]*claim
	seen   map[*agent]bool // visited: nothing is left there

	part    int // number of the part
	work    int // what it may still cost
	lacking resources.Quantities
	taker   taker
	chosen  []*victim
}

// A taker says whether what is freed on an agent makes an offer to whom it is
// for.
type taker interface {
	Takes(agent ids.AgentID, freed resources.Resources) bool
	Len() int
}

type claimKey struct {
	framework *framework
	role      string
}

// What the parts of a plan cost, in units of about 30 ns.
const (
	partCost   = 64  // for each agent that the allocator may visit in a step
	lookCost   = 16  // a task that is looked at
	visitCost  = 96  // an agent
	victimCost = 64  // a task on an agent that is visited
	askCost    = 12  // one of those who may take what is freed
	revokeCost = 192 // a task that is revoked
)

func newRevocationPlan(total resources.Quantities, stakeOf func(string) stake, usedBy func(*framework) resources.Quantities) *revocationPlan {
	return &revocationPlan{
		total: total, stakeOf: stakeOf, usedBy: usedBy,
		ranks: map[string]*rank{}, claims: map[claimKey]*claim{}, seen: map[*agent]bool{},
	}
}

// add gives a framework its places.
func (p *revocationPlan) add(f *framework) {
	if f.byAge.youngest == nil {
		return
	}
	for r := range f.row.Allocated.All() {
		key := claimKey{f, role.Top(r.AllocationRole())}
		if p.claims[key] != nil {
			continue
		}
		c := &claim{framework: f, rank: p.rank(key.role), next: f.byAge.youngest, fresh: -1}
		p.claims[key] = c
		f.claims = append(f.claims, c)
		p.refresh(c)
		c.key, c.serial = c.share, c.next.row.Serial
		heap.Push(&c.rank.claims, c)
		p.putInPlace(c.rank)
	}
}

// rank returns a role's rank, made if need be.
func (p *revocationPlan) rank(name string) *rank {
	r := p.ranks[name]
	if r == nil {
		r = &rank{name: name, fresh: -1, place: -1}
		p.ranks[name] = r
	}
	return r
}

// putInPlace puts a rank where it belongs now, or takes it out of the order if
// nobody is left in it.
func (p *revocationPlan) putInPlace(r *rank) {
	r.key = r.over
	switch {
	case r.place < 0:
		heap.Push(&p.turns, r)
	case len(r.claims) == 0:
		heap.Remove(&p.turns, r.place)
	default:
		heap.Fix(&p.turns, r.place)
	}
}

// end lets go of the frameworks.
func (p *revocationPlan) end() {
	for key := range p.claims {
		key.framework.claims = nil
	}
}

// refresh asks what a framework and its role have, unless that was done in this
// part.
func (p *revocationPlan) refresh(c *claim) {
	if r := c.rank; r.fresh != p.part {
		r.stake, r.fresh = p.stakeOf(r.name), p.part
		r.over = p.share(r.stake.used.Sub(r.stake.guarantee))
	}
	if c.fresh != p.part {
		c.used, c.fresh = p.usedBy(c.framework), p.part
		c.share = p.share(c.used)
	}
}

// share returns the largest part of the cluster that q is of any resource.
func (p *revocationPlan) share(q resources.Quantities) (most float64) {
	for name, amount := range q.All() {
		if all := p.total.Get(name); all > 0 {
			most = max(most, float64(amount)/float64(all))
		}
	}
	return most
}

// run carries out a part: it chooses until nothing is lacking, or it has cost as
// much as it may, or nothing is left. It reports whether there is more to do.
func (p *revocationPlan) run(work int, lacking resources.Quantities, taker taker) (chosen []*victim, more bool) {
	p.part++
	p.work, p.lacking, p.taker, p.chosen = work, lacking, taker, nil
	for !p.lacking.IsEmpty() && p.work > 0 {
		c := p.next()
		if c == nil {
			return p.chosen, false
		}
		t := c.next
		c.next = t.older
		if t.released || t.ending || p.seen[t.agent] || role.Top(t.row.Role) != c.rank.name || !t.agent.revocable() {
			continue
		}
		if v := p.victimOf(t, c); v != nil && p.possible(v) {
			p.visit(t.agent, v.serial)
		}
	}
	return p.chosen, !p.lacking.IsEmpty()
}

// next returns whose turn it is, nil if it is nobody's.
func (p *revocationPlan) next() *claim {
	for len(p.turns) > 0 {
		p.work -= lookCost
		r := p.turns[0]
		c := r.claims[0]
		p.refresh(c)
		if !p.above(r) {
			heap.Pop(&p.turns)
			continue
		}
		serial := uint64(0)
		if c.next != nil {
			serial = c.next.row.Serial
		}
		switch {
		case c.next == nil:
			heap.Pop(&r.claims)
			p.putInPlace(r)
		case r.key != r.over || c.key != c.share || c.serial != serial:
			c.key, c.serial = c.share, serial
			heap.Fix(&r.claims, c.place)
			p.putInPlace(r)
		default:
			return c
		}
	}
	return nil
}

// above reports whether a role has more than it is guaranteed of something that
// is lacking. One that has not will not have it in this plan.
func (p *revocationPlan) above(r *rank) bool {
	for name := range p.lacking.All() {
		if r.stake.used.Get(name) > r.stake.guarantee.Get(name) {
			return true
		}
	}
	return false
}

// possible reports whether the victim helps, and its role has enough without
// it. What is not so once will not be: what is lacking and what roles have gets
// less.
func (p *revocationPlan) possible(v *victim) bool {
	if !v.gone && (!p.helps(v) || !v.claim.rank.stake.spares(v.amount)) {
		v.gone = true
	}
	return !v.gone
}

func (p *revocationPlan) helps(v *victim) bool {
	for name := range p.lacking.All() {
		if v.amount.Get(name) > 0 {
			return true
		}
	}
	return false
}

// visit chooses from the victims on an agent, the one with the serial first. If
// what they give makes no offer, all of them are spared.
func (p *revocationPlan) visit(a *agent, first uint64) {
	p.seen[a] = true
	p.work -= visitCost + victimCost*len(a.tasks) + askCost*p.taker.Len()
	before, lacking := len(p.chosen), p.lacking
	var freed resources.Resources
	here := p.victimsOn(a)
	for next := here.first(first); next != nil && !p.lacking.IsEmpty(); next = here.next(p) {
		p.choose(next, -1)
		p.chosen, p.lacking = append(p.chosen, next), p.lacking.Sub(next.amount)
		freed = freed.Add(next.gives)
		p.work -= revokeCost * len(next.tasks)
	}
	if p.taker.Takes(a.id, freed) {
		return
	}
	for _, v := range p.chosen[before:] {
		p.choose(v, 1)
	}
	p.chosen, p.lacking = p.chosen[:before], lacking
}

// choose takes what a victim has off what its role and framework use, or, with
// a sign of 1, gives it back.
func (p *revocationPlan) choose(v *victim, sign int) {
	change := func(q resources.Quantities) resources.Quantities {
		if sign > 0 {
			return q.Add(v.amount)
		}
		return q.Sub(v.amount)
	}
	v.gone = true
	r := v.claim.rank
	r.stake.used = change(r.stake.used)
	r.over = p.share(r.stake.used.Sub(r.stake.guarantee))
	for _, c := range v.claim.framework.claims {
		p.refresh(c)
		c.used = change(c.used)
		c.share = p.share(c.used)
	}
}

// victims are those on an agent, of each framework and role the youngest first.
type victims [][]*victim

// first returns the victim with a serial.
func (vs victims) first(serial uint64) *victim {
	for _, list := range vs {
		for _, v := range list {
			if v.serial == serial {
				return v
			}
		}
	}
	return nil
}

// next returns the first possible victim in the order of the plan, nil if there
// is none.
func (vs victims) next(p *revocationPlan) (first *victim) {
	for i, list := range vs {
		for len(list) > 0 && !p.possible(list[0]) {
			list = list[1:]
		}
		vs[i] = list
		if len(list) > 0 && (first == nil || list[0].before(first)) {
			first = list[0]
		}
	}
	return first
}

// before is the order of the plan, as things are now.
func (v *victim) before(o *victim) bool {
	switch a, b := v.claim, o.claim; {
	case a.rank.over != b.rank.over:
		return a.rank.over > b.rank.over
	case a.share != b.share:
		return a.share > b.share
	default:
		return v.serial > o.serial
	}
}

// victimsOn returns what could be revoked on an agent.
func (p *revocationPlan) victimsOn(a *agent) (all victims) {
	at := map[*claim]int{}
	groups := map[executorKey]bool{}
	for _, t := range inOrder(a.tasks) {
		key := t.executorKey()
		if groups[key] {
			continue
		}
		c := p.claims[claimKey{t.framework, role.Top(t.row.Role)}]
		if c == nil { // it came after the plan was made
			continue
		}
		v := p.victimOf(t, c)
		if t.isGrouped() {
			groups[key] = true
		}
		if v == nil {
			continue
		}
		p.refresh(c)
		i, known := at[c]
		if !known {
			i = len(all)
			at[c] = i
			all = append(all, nil)
		}
		all[i] = append(all[i], v)
	}
	for _, list := range all {
		slices.SortFunc(list, func(a, b *victim) int { return cmp.Compare(b.serial, a.serial) })
	}
	return all
}

// isGrouped reports whether a task ends only together with all others of its
// executor: it is one of Mesos's own default executors.
func (t *task) isGrouped() bool {
	e := t.agent.executors[t.executorKey()]
	return e != nil && e.row.Info.GetType() == mesos.ExecutorInfo_DEFAULT
}

func (t *task) executorKey() executorKey {
	return executorKey{t.framework.id, t.agent.id, t.row.Executor}
}

// victimOf returns the victim that a task is, or is of; nil if it is none, for
// one of its tasks is ending, or over, or not of the claim's role.
func (p *revocationPlan) victimOf(t *task, c *claim) *victim {
	v := &victim{claim: c, tasks: []*task{t}}
	if t.isGrouped() {
		v.tasks = nil
		for _, o := range inOrder(t.agent.tasks) {
			if o.executorKey() == t.executorKey() {
				v.tasks = append(v.tasks, o)
			}
		}
		p.work -= victimCost * len(t.agent.tasks)
	}
	for _, t := range v.tasks {
		if t.released || t.ending || role.Top(t.row.Role) != c.rank.name {
			return nil
		}
		v.serial = max(v.serial, t.row.Serial)
		v.gives = v.gives.Add(t.row.Resources.Filter(isQuotaScalar).Unallocated())
	}
	v.amount = v.gives.ScalarQuantities()
	return v
}

func isQuotaScalar(r resources.Resource) bool { return r.IsScalar() && countsForQuota(r) }

// revocable reports whether tasks on an agent can be revoked.
func (a *agent) revocable() bool { return a.row.Connected && a.row.Active }
