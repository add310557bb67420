package allocator

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/sorter"
	"github.com/meseta-project/meseta/resources"
)

// A Reason is what stands between a framework and an offer.
type Reason string

// The reasons, those about all agents first. The text is stable: it is served
// to operators.
const (
	FrameworkInactive  Reason = "framework inactive" // it has stopped offers, or is disconnected
	FrameworkAway      Reason = "framework disconnected"
	FrameworkNotBack   Reason = "framework not back"    // known from its tasks only
	NoRoles            Reason = "no roles"              // it is subscribed to none
	BudgetHeld         Reason = "offers unanswered"     // it holds as many as it may
	RoleSuppressed     Reason = "role suppressed"       // by the framework
	ServedAfterOthers  Reason = "served after others"   // it declined many offers in a row
	LowerRanksFirst    Reason = "lower ranks first"     // others are served before it, by the policy's word
	LowerSharesFirst   Reason = "lower shares first"    // others are served before it, by their shares
	ModuleSilent       Reason = "allocation module"     // it has failed, and without it nothing is offered
	Recovering         Reason = "recovering"            // a new leader waits for agents
	NoAgents           Reason = "no agents"             // there are none
	AgentDeactivated   Reason = "agent deactivated"     // by an operator
	AgentDisconnected  Reason = "agent disconnected"    // it may come back
	AgentDraining      Reason = "agent draining"        // by an operator; or drained
	AgentUnreachable   Reason = "agent unreachable"     // given up, though it may come back
	AgentNotBack       Reason = "agent not back"        // an earlier leader knew it
	AgentNotListed     Reason = "agent not whitelisted" // --whitelist
	AllInUse           Reason = "all in use"            // all that the role may have is offered or used
	ReservedForOthers  Reason = "reserved for others"   // all that there is, is reserved to other roles
	TooLittle          Reason = "too little"            // less than the least that is offered
	GPUsHidden         Reason = "gpus"                  // the framework lacks GPU_RESOURCES
	OtherRegion        Reason = "other region"          // the framework lacks REGION_AWARE
	AgentTooOld        Reason = "agent too old"         // it lacks MULTI_ROLE or HIERARCHICAL_ROLE
	ConstraintsUnmet   Reason = "constraints unmet"     // the framework's offer constraints
	Declined           Reason = "declined"              // by the framework, lately
	LimitReached       Reason = "quota limit"           // of the role's tree
	HeldForGuarantees  Reason = "held for guarantees"   // of other roles
	CannotBeUnderstood Reason = "capabilities"          // shared, revocable or refined resources only
	Next               Reason = "next"                  // nothing: it is offered in the next cycle, unless others are served first
)

// A Finding is one reason and how many agents it holds for.
type Finding struct {
	Reason  Reason
	Message string      // in words, of the example if there is one
	Agents  int         // 0: it does not depend on agents
	Example ids.AgentID // one of them, the first by number
	Host    string      // the example's
	Until   time.Time   // when it ends by itself, of several agents the first to do so; zero if it does not
}

// An Explanation is why a framework gets no offers in a role.
type Explanation struct {
	Framework ids.FrameworkID
	Name      string // the framework's
	Role      string
	Share     float64 // the role's dominant share, over its weight
	Position  int     // how many frameworks are served before it; -1: that is left to chance
	Findings  []Finding
	Seen      int // agents looked at
}

// beyondAgents returns what stands in the way on all agents.
func (a *Allocator) beyondAgents(s *subscription, now time.Time) (found []Finding) {
	if !s.framework.active {
		found = append(found, Finding{Reason: FrameworkInactive, Message: "the framework is not connected, or has stopped offers"})
	}
	if a.paused {
		found = append(found, Finding{Reason: ModuleSilent, Message: "the allocation module has failed or not answered yet, and nothing is offered without it"})
	}
	if s.suppressed {
		found = append(found, Finding{Reason: RoleSuppressed, Message: "the framework has suppressed offers in the role; REVIVE ends that"})
	}
	if a.atBudget(s.framework) {
		found = append(found, Finding{
			Reason:  BudgetHeld,
			Message: fmt.Sprintf("the framework has not answered %d offers, as many as it may hold (--max_offers_per_framework)", s.framework.outstanding),
		})
	}
	if now.Before(s.behind) {
		found = append(found, Finding{
			Reason:  ServedAfterOthers,
			Until:   s.behind,
			Message: fmt.Sprintf("the framework has declined %d offers in a row; others are served before it until %s, or until it accepts something or calls REVIVE", s.declined, s.behind.UTC().Format(time.RFC3339)),
		})
	}
	if a.holding(now) {
		found = append(found, Finding{
			Reason:  Recovering,
			Message: fmt.Sprintf("there are quotas, and of %d agents that are waited for %d are back", a.holdOff.agents, len(a.agents)),
			Until:   a.holdOff.until,
		})
	}
	return found
}

// position returns how many frameworks are served before a subscription is.
// It is -1 where the order is drawn anew each time: to draw would change it.
func (a *Allocator) position(s *subscription) int {
	if a.cfg.RoleOrder != sorter.DRF || a.cfg.FrameworkOrder != sorter.DRF {
		return -1
	}
	n := 0
	for role := range a.order.All() {
		for client := range role.Value.frameworks.All() {
			if client.Value == s {
				return n
			}
			n++
		}
	}
	return n
}

// availableTo returns what of an agent may go to a role, if it fits.
func availableTo(ag *agent, s *subscription) resources.Resources {
	if ag.plain {
		return ag.available
	}
	return ag.available.Sub(ag.lent).AllocatableTo(s.role.name)
}

// reason returns what stands between a subscription and an offer of an agent,
// and when that ends by itself.
func (a *Allocator) reason(ag *agent, s *subscription, q *Query) (Reason, time.Time) {
	switch {
	case !ag.active && q.Inactive != nil:
		why, _ := q.Inactive(ag.id)
		return why, time.Time{}
	case !ag.active:
		return AgentDeactivated, time.Time{}
	case a.whitelist != nil && !a.whitelist[ag.info.GetHostname()]:
		return AgentNotListed, time.Time{}
	}
	if why := a.unsuited(ag, s); why != fits {
		return a.reasonOf(why, s, resources.Resources{}), time.Time{}
	}
	available := availableTo(ag, s)
	switch {
	case available.IsEmpty() && ag.total.AllocatableTo(s.role.name).IsEmpty():
		return ReservedForOthers, time.Time{}
	case neverEnough(ag, s, available):
		return TooLittle, time.Time{}
	case available.IsEmpty():
		return AllInUse, time.Time{}
	}
	offer, why := a.trial(ag, s, available)
	if why == refusedBefore {
		return Declined, a.refusal(ag, s, offer).until
	}
	return a.reasonOf(why, s, available), time.Time{}
}

// trial returns what a subscription would be offered of what is available, as
// quota cuts it, in the first stage or the second; or what stands in the way.
func (a *Allocator) trial(ag *agent, s *subscription, available resources.Resources) (resources.Resources, verdict) {
	var owed resources.Resources
	if s.role.tree.owed {
		offer, why := a.fit(ag, s, available, guarantees, nil)
		if why == fits {
			return offer, fits
		}
		owed = offer
	}
	offer, why := a.fit(ag, s, available, fairShare, nil)
	switch {
	case why == overQuota && enough(offer, s.minimums):
		return offer, refusedBefore // what else: quota has left enough
	case why == overQuota && enough(owed, s.minimums):
		return owed, refusedBefore
	}
	return offer, why
}

// reasonOf returns the reason that a verdict stands for.
func (a *Allocator) reasonOf(why verdict, s *subscription, available resources.Resources) Reason {
	switch why {
	case constrained:
		return ConstraintsUnmet
	case tooLittle:
		if enough(available, s.minimums) {
			return CannotBeUnderstood
		}
		return TooLittle
	case gpusHidden:
		return GPUsHidden
	case farAway:
		return OtherRegion
	case agentSingleRole, agentFlatRoles:
		return AgentTooOld
	case overQuota:
		why, _ := a.quotaReason(s, available)
		return why
	default:
		return Next
	}
}

// words puts in words what stands between a subscription and an offer of an
// agent, and tells names.
func (a *Allocator) words(ag *agent, s *subscription, why Reason, q *Query) string {
	available := availableTo(ag, s)
	switch why {
	case AgentDeactivated, AgentDisconnected, AgentDraining, AgentUnreachable:
		return inactiveWords(ag, q)
	case AgentNotListed:
		return fmt.Sprintf("host %s is not on the whitelist", ag.info.GetHostname())
	case AllInUse:
		return a.inUseWords(ag, s)
	case ReservedForOthers:
		return fmt.Sprintf("what is free is reserved to others: %s", ag.available)
	case ConstraintsUnmet:
		return "the framework's constraints are not met: " + s.framework.info.Constraints.unmet(s.role.name, ag.info)
	case CannotBeUnderstood:
		return fmt.Sprintf("the framework lacks a capability for what is free: %s", available)
	case TooLittle:
		return a.tooLittleWords(ag, s, available)
	case GPUsHidden:
		return "the agent has GPUs and the framework lacks GPU_RESOURCES"
	case OtherRegion:
		return "the agent is in another region and the framework lacks REGION_AWARE"
	case AgentTooOld:
		return tooOldWords(ag, s)
	case Declined:
		offer, _ := a.trial(ag, s, available)
		return a.refusal(ag, s, offer).words(s)
	case LimitReached, HeldForGuarantees:
		_, words := a.quotaReason(s, available)
		return words
	default:
		return fmt.Sprintf("nothing: %s is offered in the next cycle, unless it is offered to others first", a.freeWords(ag, s))
	}
}

// inUseWords says who has what the role might have of an agent, of which
// nothing is free but what only others may have.
func (a *Allocator) inUseWords(ag *agent, s *subscription) string {
	if ag.available.IsEmpty() {
		return "all of the agent is offered or used: " + a.holders(ag, s)
	}
	return fmt.Sprintf("all that role %s may have of the agent is offered or used: %s; the rest is reserved to others: %s", s.role.name, a.holders(ag, s), ag.available)
}

// freeWords tells what would be offered.
func (a *Allocator) freeWords(ag *agent, s *subscription) string {
	offer, _ := a.trial(ag, s, availableTo(ag, s))
	return offer.String()
}

func inactiveWords(ag *agent, q *Query) string {
	if q.Inactive != nil {
		_, words := q.Inactive(ag.id)
		return words
	}
	return "the agent is drained, disconnected or otherwise deactivated"
}

func tooOldWords(ag *agent, s *subscription) string {
	if s.framework.can.multiRole && !ag.multiRole {
		return "the framework has MULTI_ROLE and the agent has not"
	}
	return "the role has a slash and the agent lacks HIERARCHICAL_ROLE"
}

// neverEnough reports whether all that an agent has for a role is less than the
// least that is offered.
func neverEnough(ag *agent, s *subscription, available resources.Resources) bool {
	return !enough(available, s.minimums) && !enough(ag.total.AllocatableTo(s.role.name), s.minimums)
}

func (a *Allocator) tooLittleWords(ag *agent, s *subscription, available resources.Resources) string {
	var least []string
	for _, q := range s.minimums {
		least = append(least, q.String())
	}
	minimum := strings.Join(least, " or ")
	if neverEnough(ag, s, available) {
		return fmt.Sprintf("an offer has at least %s, and the agent has only %s for it", minimum, ag.total.AllocatableTo(s.role.name))
	}
	return fmt.Sprintf("%s is free, an offer has at least %s; %s", available, minimum, a.holders(ag, s))
}

// A refusalFound is the filter that keeps a subscription from an agent.
type refusalFound struct {
	until time.Time
	what  resources.Resources
	ticks uint32
}

// refusal returns which refusal covers what would be offered, of several that
// which holds longest.
func (a *Allocator) refusal(ag *agent, s *subscription, offer resources.Resources) (found refusalFound) {
	for _, f := range ag.filters {
		if f.slot == s.slot && ag.refused[f.what].resources.Contains(offer) {
			found = refusalFound{a.started.Add(time.Duration(f.until) * tick), ag.refused[f.what].resources, f.until}
		}
	}
	return found
}

// words tells the refusal: by which decline it came, if that is remembered.
func (r refusalFound) words(s *subscription) string {
	by := ""
	for _, d := range s.declines {
		if d.until == r.ticks {
			by = fmt.Sprintf(" at %s for %v", d.at.UTC().Format(time.RFC3339), d.refuse.Round(time.Millisecond))
		}
	}
	return fmt.Sprintf("the framework declined %s%s, and gets no part of that until %s; REVIVE ends it sooner", r.what, by, r.until.UTC().Format(time.RFC3339))
}

// quotaReason says whether a limit or the guarantees of others are in the way
// of what is available.
func (a *Allocator) quotaReason(s *subscription, available resources.Resources) (Reason, string) {
	t := s.role.tree
	if enough(a.withinLimits(t, s.framework.can.strip(false, available)), s.minimums) {
		return HeldForGuarantees, "what is free is held for guarantees: " + a.owedWords()
	}
	what := "would exceed"
	for i := range t.limit {
		if t.below(i) <= 0 {
			what = "has reached"
		}
	}
	return LimitReached, fmt.Sprintf("role %s %s its quota limit %s: it consumes %s", t.name, what, t.quota.Limits, a.consumedWords(t.name))
}

// withinLimits returns what of rs a tree could have if there were no guarantees.
func (a *Allocator) withinLimits(t *tree, rs resources.Resources) resources.Resources {
	room := make(sorter.Vector, len(t.limit))
	for i := range room {
		room[i] = max(0, t.below(i))
	}
	counted := subjectToQuota(rs)
	left, _ := a.shrink(counted, room, nil)
	return rs.Sub(counted).Add(left)
}

func (a *Allocator) consumedWords(top string) string {
	if consumed := a.Consumed(top); !consumed.IsEmpty() {
		return consumed.String()
	}
	return "nothing"
}

// owedWords names the first few roles that are owed something.
func (a *Allocator) owedWords() string {
	var owed []string
	for _, name := range sortedKeys(a.trees) {
		if other := a.trees[name]; other.owed && len(owed) < 3 {
			owed = append(owed, fmt.Sprintf("%s to role %s", a.quantities(other.unsatisfied), name))
		}
	}
	return strings.Join(owed, ", ")
}

// holders tells a subscription who has most of an agent, and how large their
// roles' shares are.
func (a *Allocator) holders(ag *agent, s *subscription) string {
	most := slices.MaxFunc(append(ag.holdings, holding{}), func(x, y holding) int {
		return cmp.Compare(a.part(ag, x), a.part(ag, y))
	})
	if most.framework == "" {
		return "nobody has any of it"
	}
	var names []string
	for name := range most.resources.ByAllocation() {
		names = append(names, fmt.Sprintf("%s, whose share is %.2f", name, a.order.ShareOf(name)))
	}
	slices.Sort(names)
	who := "framework " + string(most.framework)
	if most.framework == s.framework.id {
		who = "this framework itself"
	}
	return fmt.Sprintf("most by %s in role %s", who, strings.Join(names, " and "))
}

// part returns how large a part of an agent somebody has.
func (a *Allocator) part(ag *agent, h holding) float64 {
	var one sorter.Total
	one.Change(nil, ag.size)
	_, share := one.Dominant(a.scalars(h.resources, nil))
	return share
}

// String says it in lines of text.
func (e Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "framework %s", e.Framework)
	if e.Role != "" {
		fmt.Fprintf(&b, " in role %s, share %.2f, %s", e.Role, e.Share, e.turn())
	}
	for _, f := range e.Findings {
		b.WriteString("\n  ")
		switch {
		case f.Agents == 1 && f.Example == "":
			b.WriteString("1 more agent: ")
		case f.Agents > 0 && f.Example == "":
			fmt.Fprintf(&b, "%d more agents: ", f.Agents)
		case f.Agents > 0 && e.Seen == 1:
			fmt.Fprintf(&b, "agent %s: ", f.Example)
		case f.Agents > 0:
			fmt.Fprintf(&b, "%d of %d agents, such as %s: ", f.Agents, e.Seen, f.Example)
		}
		b.WriteString(f.Message)
	}
	return b.String()
}

// turn says when it is the subscription's turn.
func (e Explanation) turn() string {
	if e.Position < 0 {
		return "served in random order"
	}
	return fmt.Sprintf("%d served before it", e.Position)
}
