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
	FrameworkInactive  Reason = "framework inactive"    // disconnected
	NoRoles            Reason = "no roles"              // it is subscribed to none
	RoleSuppressed     Reason = "role suppressed"       // by the framework
	ServedAfterOthers  Reason = "served after others"   // it declined many offers in a row
	Recovering         Reason = "recovering"            // a new leader waits for agents
	NoAgents           Reason = "no agents"             // there are none
	AgentDeactivated   Reason = "agent deactivated"     // draining, disconnected
	AgentNotListed     Reason = "agent not whitelisted" // --whitelist
	AllInUse           Reason = "all in use"            // offered or used
	ReservedForOthers  Reason = "reserved for others"   // what is free is reserved to other roles
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
	Until   time.Time   // when a refusal ends, the first to do so; zero for other reasons
}

// An Explanation is why a framework gets no offers in a role.
type Explanation struct {
	Framework ids.FrameworkID
	Role      string
	Share     float64 // the role's dominant share, over its weight
	Position  int     // how many frameworks are served before it
	Findings  []Finding
	Seen      int // agents looked at
}

// A Query is what is to be explained; what is empty is any.
type Query struct {
	Framework ids.FrameworkID
	Role      string
	Agent     ids.AgentID
	MaxAgents int // how many to look at, 0: all
}

// Explain says what stands between frameworks and offers, by framework and
// role, the most common reasons first. It changes nothing. It takes some time
// for each agent, so the master bounds their number.
func (a *Allocator) Explain(now time.Time, q Query) []Explanation {
	a.tell(now)
	var all []Explanation
	for _, id := range sortedKeys(a.frameworks) {
		f := a.frameworks[id]
		if q.Framework != "" && q.Framework != id {
			continue
		}
		wanted := slices.DeleteFunc(f.sorted(), func(s *subscription) bool { return !s.wanted })
		if len(wanted) == 0 && q.Role == "" {
			all = append(all, Explanation{Framework: id, Findings: []Finding{{Reason: NoRoles, Message: "the framework is subscribed to no role"}}})
		}
		for _, s := range wanted {
			if q.Role == "" || q.Role == s.role.name {
				all = append(all, a.explain(s, now, q))
			}
		}
	}
	return all
}

// explain explains one subscription.
func (a *Allocator) explain(s *subscription, now time.Time, q Query) Explanation {
	e := Explanation{Framework: s.framework.id, Role: s.role.name, Share: a.order.ShareOf(s.role.name)}
	e.Findings = a.beyondAgents(s, now)
	e.Position = a.position(s)
	tally := map[Reason]*Finding{}
	for _, ag := range a.byNum {
		if ag == nil || q.Agent != "" && q.Agent != ag.id {
			continue
		}
		if q.MaxAgents > 0 && e.Seen == q.MaxAgents {
			break
		}
		e.Seen++
		found := a.find(ag, s)
		t := tally[found.Reason]
		if t == nil {
			t = &found
			t.Example = ag.id
			tally[found.Reason] = t
		}
		t.Agents++
		if found.Until.Before(t.Until) {
			t.Until = found.Until
		}
	}
	if e.Seen == 0 {
		e.Findings = append(e.Findings, Finding{Reason: NoAgents, Message: "there are no agents"})
	}
	byCount := []Finding{}
	for _, t := range tally {
		byCount = append(byCount, *t)
	}
	slices.SortFunc(byCount, func(x, y Finding) int {
		return cmp.Or(cmp.Compare(y.Agents, x.Agents), cmp.Compare(x.Reason, y.Reason))
	})
	e.Findings = append(e.Findings, byCount...)
	return e
}

// beyondAgents returns what stands in the way on all agents.
func (a *Allocator) beyondAgents(s *subscription, now time.Time) (found []Finding) {
	if !s.framework.active {
		found = append(found, Finding{Reason: FrameworkInactive, Message: "the framework is not connected, or has stopped offers"})
	}
	if s.suppressed {
		found = append(found, Finding{Reason: RoleSuppressed, Message: "the framework has suppressed offers in the role; REVIVE ends that"})
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
func (a *Allocator) position(s *subscription) int {
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

// find returns what stands between a subscription and an offer of an agent.
func (a *Allocator) find(ag *agent, s *subscription) Finding {
	available := ag.available.Sub(ag.lent).AllocatableTo(s.role.name)
	switch {
	case !ag.active:
		return Finding{Reason: AgentDeactivated, Message: "the agent is drained, disconnected or otherwise deactivated"}
	case a.whitelist != nil && !a.whitelist[ag.info.GetHostname()]:
		return Finding{Reason: AgentNotListed, Message: fmt.Sprintf("host %s is not on the whitelist", ag.info.GetHostname())}
	case ag.available.IsEmpty():
		return Finding{Reason: AllInUse, Message: "all of the agent is offered or used: " + a.holders(ag)}
	case available.IsEmpty():
		return Finding{Reason: ReservedForOthers, Message: fmt.Sprintf("what is free is reserved to others: %s", ag.available)}
	}
	_, why := a.fit(ag, s, available, fairShare, nil)
	return a.finding(ag, s, available, why)
}

// finding puts a verdict in words.
func (a *Allocator) finding(ag *agent, s *subscription, available resources.Resources, why verdict) Finding {
	switch why {
	case constrained:
		return Finding{Reason: ConstraintsUnmet, Message: "the framework's constraints are not met: " + s.framework.info.Constraints.unmet(s.role.name, ag.info)}
	case tooLittle:
		return a.findTooLittle(ag, s, available)
	case gpusHidden:
		return Finding{Reason: GPUsHidden, Message: "the agent has GPUs and the framework lacks GPU_RESOURCES"}
	case farAway:
		return Finding{Reason: OtherRegion, Message: "the agent is in another region and the framework lacks REGION_AWARE"}
	case agentSingleRole:
		return Finding{Reason: AgentTooOld, Message: "the framework has MULTI_ROLE and the agent has not"}
	case agentFlatRoles:
		return Finding{Reason: AgentTooOld, Message: "the role has a slash and the agent lacks HIERARCHICAL_ROLE"}
	case refusedBefore:
		return a.findRefusal(ag, s, available)
	case overQuota:
		return a.findQuota(s)
	default:
		return Finding{Reason: Next, Message: fmt.Sprintf("nothing: %s is offered in the next cycle, unless it is offered to others first", available)}
	}
}

func (a *Allocator) findTooLittle(ag *agent, s *subscription, available resources.Resources) Finding {
	if enough(available, s.minimums) {
		return Finding{Reason: CannotBeUnderstood, Message: fmt.Sprintf("the framework lacks a capability for what is free: %s", available)}
	}
	var least []string
	for _, q := range s.minimums {
		least = append(least, q.String())
	}
	return Finding{Reason: TooLittle, Message: fmt.Sprintf("%s is free, an offer has at least %s; %s", available, strings.Join(least, " or "), a.holders(ag))}
}

// findRefusal returns which refusal covers what is available.
func (a *Allocator) findRefusal(ag *agent, s *subscription, available resources.Resources) Finding {
	rs := s.framework.can.strip(ag.plain, available)
	for _, f := range ag.filters {
		if f.slot == s.slot && ag.refused[f.what].resources.Contains(rs) {
			until := a.started.Add(time.Duration(f.until) * tick)
			return Finding{
				Reason:  Declined,
				Until:   until,
				Message: fmt.Sprintf("the framework declined %s until %s; REVIVE ends that", ag.refused[f.what].resources, until.UTC().Format(time.RFC3339)),
			}
		}
	}
	return Finding{Reason: Declined, Message: "the framework declined it"}
}

// findQuota says whether a limit or the guarantees of others are in the way.
func (a *Allocator) findQuota(s *subscription) Finding {
	t := s.role.tree
	for i := range t.limit {
		if t.below(i) <= 0 {
			return Finding{Reason: LimitReached, Message: fmt.Sprintf("role %s has reached its quota limit %s: it consumes %s", t.name, t.quota.Limits, a.Consumed(t.name))}
		}
	}
	var owed []string
	for _, name := range sortedKeys(a.trees) {
		if other := a.trees[name]; other.owed && len(owed) < 3 {
			owed = append(owed, fmt.Sprintf("%s to role %s", a.quantities(other.unsatisfied), name))
		}
	}
	if len(owed) == 0 {
		return Finding{Reason: LimitReached, Message: fmt.Sprintf("role %s would exceed its quota limit %s: it consumes %s", t.name, t.quota.Limits, a.Consumed(t.name))}
	}
	return Finding{Reason: HeldForGuarantees, Message: "what is free is held for guarantees: " + strings.Join(owed, ", ")}
}

// holders says who has most of an agent, and how large their roles' shares are.
func (a *Allocator) holders(ag *agent) string {
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
	return fmt.Sprintf("most by framework %s in role %s", most.framework, strings.Join(names, " and "))
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
		fmt.Fprintf(&b, " in role %s, share %.2f, %d served before it", e.Role, e.Share, e.Position)
	}
	for _, f := range e.Findings {
		b.WriteString("\n  ")
		if f.Agents > 0 {
			fmt.Fprintf(&b, "%d of %d agents, such as %s: ", f.Agents, e.Seen, f.Example)
		}
		b.WriteString(f.Message)
	}
	return b.String()
}
