package master

import (
	"cmp"
	"slices"

	"github.com/meseta-project/meseta/internal/ids"
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

// A victim is what can be revoked only as a whole: a task, or all tasks of an
// executor that ends them together.
type victim struct {
	agent     ids.AgentID
	framework ids.FrameworkID
	role      string // the top-level one
	serial    uint64 // of its youngest task
	gives     resources.Resources
	amount    resources.Quantities // of gives
	tasks     []*task
	gone      bool // chosen, or found not to be possible
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
type revocationPlan struct {
	lacking resources.Quantities
	total   resources.Quantities
	stakes  map[string]*stake
	used    map[ids.FrameworkID]resources.Quantities
	takes   func(ids.AgentID, resources.Resources) bool
	chosen  []*victim
}

// run chooses from the victims.
func (p *revocationPlan) run(victims []*victim) []*victim {
	byAgent := map[ids.AgentID][]*victim{}
	for _, v := range victims {
		byAgent[v.agent] = append(byAgent[v.agent], v)
	}
	byFramework := youngestFirst(victims)
	for !p.lacking.IsEmpty() {
		next := p.next(byFramework)
		if next == nil {
			break
		}
		p.empty(byAgent[next.agent], next)
	}
	return p.chosen
}

// youngestFirst returns the victims by framework, in a stable order.
func youngestFirst(victims []*victim) [][]*victim {
	sorted := slices.Clone(victims)
	slices.SortFunc(sorted, func(a, b *victim) int {
		return cmp.Or(cmp.Compare(a.framework, b.framework), cmp.Compare(a.role, b.role), cmp.Compare(b.serial, a.serial))
	})
	var all [][]*victim
	for start := 0; start < len(sorted); {
		end := start + 1
		for end < len(sorted) && sorted[end].framework == sorted[start].framework && sorted[end].role == sorted[start].role {
			end++
		}
		all = append(all, sorted[start:end])
		start = end
	}
	return all
}

// next returns the first victim in the order of the plan, nil if there is none.
func (p *revocationPlan) next(frameworks [][]*victim) (first *victim) {
	for i := range frameworks {
		list := frameworks[i]
		for len(list) > 0 && !p.possible(list[0]) {
			list = list[1:]
		}
		frameworks[i] = list
		if len(list) > 0 && (first == nil || p.before(list[0], first)) {
			first = list[0]
		}
	}
	return first
}

// possible reports whether the victim helps, and its role has enough without
// it. What is not so once will not be: what is lacking and what roles have gets
// less.
func (p *revocationPlan) possible(v *victim) bool {
	if !v.gone && (!p.helps(v) || !p.stakes[v.role].spares(v.amount)) {
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

// before reports whether a comes before b.
func (p *revocationPlan) before(a, b *victim) bool {
	sa, sb := p.stakes[a.role], p.stakes[b.role]
	return cmp.Or(
		cmp.Compare(p.share(sb.used.Sub(sb.guarantee)), p.share(sa.used.Sub(sa.guarantee))),
		cmp.Compare(p.share(p.used[b.framework]), p.share(p.used[a.framework])),
		cmp.Compare(b.serial, a.serial),
	) < 0
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

// empty chooses from the victims on one agent, of which next is the first. If
// what they give makes no offer, all of them are spared.
func (p *revocationPlan) empty(here []*victim, next *victim) {
	before, lacking := len(p.chosen), p.lacking
	var freed resources.Resources
	for next != nil && !p.lacking.IsEmpty() {
		p.choose(next, -1)
		p.chosen, p.lacking = append(p.chosen, next), p.lacking.Sub(next.amount)
		freed = freed.Add(next.gives)
		next = nil
		for _, v := range here {
			if p.possible(v) && (next == nil || p.before(v, next)) {
				next = v
			}
		}
	}
	if p.takes(here[0].agent, freed) {
		return
	}
	for _, v := range p.chosen[before:] {
		p.choose(v, 1)
	}
	for _, v := range here {
		v.gone = true
	}
	p.chosen, p.lacking = p.chosen[:before], lacking
}

// choose takes what a victim has off what its role and framework use, or, with
// a sign of 1, gives it back.
func (p *revocationPlan) choose(v *victim, sign int) {
	s := p.stakes[v.role]
	v.gone = true
	if sign > 0 {
		s.used, p.used[v.framework] = s.used.Add(v.amount), p.used[v.framework].Add(v.amount)
		return
	}
	s.used, p.used[v.framework] = s.used.Sub(v.amount), p.used[v.framework].Sub(v.amount)
}
