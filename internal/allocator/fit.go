package allocator

import (
	"math/rand/v2"
	"slices"
	"strings"

	roles "github.com/meseta-project/meseta/internal/role"
	"github.com/meseta-project/meseta/resources"
)

// A verdict is what stands between a framework and an offer of an agent.
type verdict int

// The verdicts. All but those about quota can only change when the agent or
// the framework does.
const (
	fits verdict = iota
	constrained
	nothing
	tooLittle
	gpusHidden
	farAway
	agentSingleRole
	agentFlatRoles
	refusedBefore
	// overQuota: what is left by limits and guarantees of others is too little,
	// or was refused.
	overQuota
	// noHelp: it does not help to satisfy a guarantee.
	noHelp
)

// A stage is a pass over the candidates: one to satisfy guarantees, if any are
// not, and then one to share out the rest.
type stage int

const (
	fairShare stage = iota
	guarantees
)

// fit returns what the subscription would be offered of what is available to
// its role on the agent, or why it would not. What quota cuts is drawn from
// rnd, or follows the order of resources if rnd is nil.
func (a *Allocator) fit(ag *agent, s *subscription, available resources.Resources, st stage, rnd *rand.Rand) (resources.Resources, verdict) {
	switch why := a.unsuited(ag, s); {
	case why != fits:
		return available, why
	case available.IsEmpty():
		return available, nothing
	case !enough(available, s.minimums):
		return available, tooLittle
	}
	rs := s.framework.can.strip(ag.plain, available)
	switch {
	case !ag.plain && !enough(rs, s.minimums):
		return rs, tooLittle
	case st == guarantees:
		return a.fitGuarantee(ag, s, rs, rnd)
	}
	offer, cut := a.capped(s, rs, rnd)
	switch {
	case cut && (!enough(offer, s.minimums) || ag.filtered(s, offer)):
		return offer, overQuota
	case !cut && ag.filtered(s, offer):
		return offer, refusedBefore
	}
	return offer, fits
}

// unsuited returns why the agent is not for the subscription, whatever is
// available.
func (a *Allocator) unsuited(ag *agent, s *subscription) verdict {
	f := s.framework
	switch {
	case f.info.Constraints.unmet(s.role.name, ag.info) != "":
		return constrained
	case ag.gpus && !a.cfg.ShowGPUs && !f.can.gpus:
		return gpusHidden
	case ag.remote && !f.can.regions:
		return farAway
	case f.can.multiRole && !ag.multiRole:
		return agentSingleRole
	case !ag.hierarchicalRole && strings.Contains(s.role.name, "/"):
		return agentFlatRoles
	}
	return fits
}

// fitGuarantee is fit's end for the first stage. Whatever it finds against an
// offer, there may be one in the second.
func (a *Allocator) fitGuarantee(ag *agent, s *subscription, rs resources.Resources, rnd *rand.Rand) (resources.Resources, verdict) {
	offer := a.guaranteed(s, rs, rnd)
	if !enough(offer, s.minimums) || ag.filtered(s, offer) {
		return offer, noHelp
	}
	return offer, fits
}

// enough reports whether resources are worth an offer: they have one of the
// minimums, if there are any.
func enough(rs resources.Resources, minimums []resources.Quantities) bool {
	if rs.IsEmpty() {
		return false
	}
	return len(minimums) == 0 || slices.ContainsFunc(minimums, rs.ContainsQuantities)
}

// strip returns what a framework with the capabilities understands: all that
// is plain.
func (c capabilities) strip(plain bool, rs resources.Resources) resources.Resources {
	if plain || c.shared && c.revocable && c.refinement {
		return rs
	}
	return rs.Filter(func(r resources.Resource) bool {
		return (c.shared || !r.IsShared()) && (c.revocable || !r.IsRevocable()) && (c.refinement || !r.IsRefined())
	})
}

// remember makes ag.blocked right: whoever refused all that is available to it
// can get nothing.
func (a *Allocator) remember(ag *agent) {
	if ag.sound && ag.checked == a.slots.version {
		return
	}
	known := ag.sound && a.slots.forget(ag.blocked, ag.checked)
	ag.sound, ag.checked, ag.heldBack = true, a.slots.version, 0
	if known {
		return
	}
	common := ag.available
	if len(ag.reserved) > 0 {
		common = common.Unreserved()
	}
	all, none := true, true
	for i := range ag.refused {
		r := &ag.refused[i]
		r.covers = r.filters > 0 && r.resources.Contains(common)
		all, none = all && (r.covers || r.filters == 0), none && !r.covers
	}
	switch {
	case none:
		ag.blocked = ag.blocked[:0]
		return
	case all && len(ag.reserved) == 0 && !ag.loose:
		ag.blocked = append(ag.blocked[:0], ag.named...)
		return
	}
	a.work -= len(ag.filters) / 16 * filterCost
	if len(ag.reserved) == 0 {
		ag.blocked = ag.appendSlots(ag.blocked[:0], len(a.slots.of), all)
		if all {
			ag.named, ag.loose = append(ag.named[:0], ag.blocked...), false
		}
		return
	}
	clear(ag.blocked)
	for _, f := range ag.filters {
		if !ag.refused[f.what].covers {
			continue
		}
		// Of dead filters the bits mean nothing.
		if s := a.slots.of; s[f.slot].sub == nil || !ag.reservedFor(s[f.slot].sub.role.name) {
			ag.blocked.add(f.slot)
		}
	}
}

// appendSlots adds to b, which is empty, of so many slots, those whose filters
// cover all that is available, or all that have any. There may be thousands, so
// those that follow each other in one word are added together.
func (rf *refusals) appendSlots(b bitset, slots int, all bool) bitset {
	n := (slots + 63) / 64
	b = slices.Grow(b, n)[:n]
	clear(b)
	at, bits := 0, uint64(0)
	for i := range rf.filters {
		f := &rf.filters[i]
		if !all && !rf.refused[f.what].covers {
			continue
		}
		if word := int(f.slot / 64); word != at {
			b[at] |= bits
			at, bits = word, 0
		}
		bits |= 1 << (f.slot % 64)
	}
	if bits != 0 {
		b[at] |= bits
	}
	return b
}

// reservedFor reports whether something available is reserved to a role or one
// above it.
func (ag *agent) reservedFor(name string) bool {
	if len(ag.reserved) == 0 || ag.reserved[name] {
		return len(ag.reserved) > 0
	}
	for above := range roles.Ancestors(name) {
		if ag.reserved[above] {
			return true
		}
	}
	return false
}
