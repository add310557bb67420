package allocator

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/meseta-project/meseta/internal/ids"
)

// A Query is what is to be explained; what is empty is any.
type Query struct {
	Framework ids.FrameworkID
	Role      string
	Agent     ids.AgentID
	// Most bounds how many explanations there are, of the frameworks that are
	// served first by their names; 0 is any number.
	Most int
	// Inactive says why an agent, which the allocator knows to be deactivated,
	// is; nil: nobody knows more than that.
	Inactive func(ids.AgentID) (Reason, string)
}

// An Inquiry is a query on its way to an answer. It looks at a bounded number
// of agents at a time, so that it is no burden to who must do other things in
// between; the agents that are looked at later are as they are then.
//
//	Inquire ─▶ each subscription asked about ─▶ each agent ─▶ Explanations
//	                   ▲                            │
//	                   └──────── next one ──────────┘
type Inquiry struct {
	// Explanations is the answer, by framework and role, once it is whole.
	Explanations []Explanation
	// Omitted is how many explanations were too many.
	Omitted int

	query Query
	left  []subject // to be explained
	now   *Explanation
	tally map[Reason]*Finding // of the current one
	next  int                 // number of the agent to look at next
}

// A subject is a subscription, which may end before it is explained.
type subject struct {
	framework ids.FrameworkID
	role      string
}

// Inquire begins to answer a query, with [Allocator.Explore].
func (a *Allocator) Inquire(q Query) *Inquiry {
	in := &Inquiry{query: q}
	if q.Framework != "" {
		if f := a.frameworks[q.Framework]; f != nil {
			in.ask(f)
		}
	} else {
		for _, id := range sortedKeys(a.frameworks) {
			in.ask(a.frameworks[id])
		}
	}
	if q.Most > 0 && len(in.left) > q.Most {
		in.Omitted = len(in.left) - q.Most
		in.left = in.left[:q.Most]
	}
	return in
}

// ask adds what the query wants to know of a framework.
func (in *Inquiry) ask(f *framework) {
	if role := in.query.Role; role != "" {
		if s := f.subs[role]; s != nil && s.wanted {
			in.left = append(in.left, subject{f.id, role})
		}
		return
	}
	wanted := f.named(nil)
	if len(wanted) == 0 {
		in.left = append(in.left, subject{f.id, ""})
	}
	for _, s := range wanted {
		in.left = append(in.left, subject{f.id, s.role.name})
	}
}

// Explore goes on with an inquiry and looks at agents as many times as budget
// allows, which is more than 0. It reports whether the answer is whole. It
// changes nothing but the inquiry.
func (a *Allocator) Explore(now time.Time, in *Inquiry, budget int) (whole bool) {
	for ; len(in.left) > 0; in.left = in.left[1:] {
		s := a.subject(in.left[0])
		switch {
		case s == nil && in.left[0].role == "" && a.frameworks[in.left[0].framework] != nil:
			in.Explanations = append(in.Explanations, a.explainNoRoles(in.left[0].framework))
			continue
		case s == nil: // it has ended meanwhile
			in.now = nil
			continue
		case in.now == nil && budget <= 0:
			return false
		case in.now == nil:
			in.begin(a, s, now)
			budget -= len(a.frameworks) / 64 // to find its position
		}
		var more bool
		if budget, more = a.look(in, s, budget); more {
			return false
		}
		in.finish(a, s)
	}
	return true
}

func (a *Allocator) subject(of subject) *subscription {
	if f := a.frameworks[of.framework]; f != nil {
		if s := f.subs[of.role]; s != nil && s.wanted {
			return s
		}
	}
	return nil
}

func (a *Allocator) explainNoRoles(id ids.FrameworkID) Explanation {
	return Explanation{
		Framework: id, Name: a.frameworks[id].info.Info.GetName(),
		Findings: []Finding{{Reason: NoRoles, Message: "the framework is subscribed to no role"}},
	}
}

// begin explains what holds on all agents.
func (in *Inquiry) begin(a *Allocator, s *subscription, now time.Time) {
	in.now = &Explanation{
		Framework: s.framework.id, Name: s.framework.info.Info.GetName(), Role: s.role.name,
		Share: a.order.ShareOf(s.role.name), Position: a.position(s), Findings: a.beyondAgents(s, now),
	}
	in.tally, in.next = map[Reason]*Finding{}, 0
	if ag := a.agents[in.query.Agent]; ag != nil {
		in.next = int(ag.num)
	}
}

// look looks at the next agents. It returns what is left of the budget, and
// whether there are more agents.
func (a *Allocator) look(in *Inquiry, s *subscription, budget int) (left int, more bool) {
	for ; in.next < len(a.byNum); in.next++ {
		ag := a.byNum[in.next]
		if ag == nil || in.query.Agent != "" && in.query.Agent != ag.id {
			continue
		}
		if budget <= 0 {
			return 0, true
		}
		budget -= 1 + len(ag.filters)/128
		in.count(a, ag, s)
		if in.query.Agent != "" {
			in.next = len(a.byNum)
		}
	}
	return budget, false
}

// count notes what is found about one agent.
func (in *Inquiry) count(a *Allocator, ag *agent, s *subscription) {
	in.now.Seen++
	why, until := a.reason(ag, s, &in.query)
	t := in.tally[why]
	if t == nil {
		t = &Finding{Reason: why, Until: until, Message: a.words(ag, s, why, &in.query), Example: ag.id, Host: ag.info.GetHostname()}
		if why == Next && in.now.barred() {
			t.Message = "nothing beside that: " + a.freeWords(ag, s) + " is free for it"
		}
		in.tally[why] = t
	}
	t.Agents++
	if until.Before(t.Until) {
		t.Until = until
	}
}

// barred reports whether something that was found keeps all offers away.
func (e *Explanation) barred() bool {
	return slices.ContainsFunc(e.Findings, func(f Finding) bool { return f.Reason != ServedAfterOthers })
}

// finish puts what was found in order: the most common first.
func (in *Inquiry) finish(a *Allocator, s *subscription) {
	e := in.now
	if e.Seen == 0 {
		e.Findings = append(e.Findings, Finding{Reason: NoAgents, Message: "there are no agents"})
	}
	if e.Position > 0 && s.client.Active() && (in.tally[Next] != nil || in.tally[AllInUse] != nil) {
		e.Findings = append(e.Findings, a.outranked(s)...)
	}
	byCount := []Finding{}
	for _, t := range in.tally {
		byCount = append(byCount, *t)
	}
	slices.SortFunc(byCount, func(x, y Finding) int {
		return cmp.Or(cmp.Compare(y.Agents, x.Agents), cmp.Compare(x.Reason, y.Reason))
	})
	e.Findings = append(e.Findings, byCount...)
	in.Explanations = append(in.Explanations, *e)
	in.now = nil
}

// outranked says who comes first, if somebody does.
func (a *Allocator) outranked(s *subscription) []Finding {
	for role := range a.order.All() {
		for client := range role.Value.frameworks.All() {
			first := client.Value
			if words := a.outrankedWords(s, first); words != "" {
				return []Finding{{Reason: LowerRanksFirst, Message: words}}
			}
			if first.role == s.role {
				return []Finding{{Reason: LowerSharesFirst, Message: fmt.Sprintf("others of role %s are served first: the framework's share is ", s.role.name) +
					against(s.role.frameworks.Share(s.client), s.role.frameworks.Share(first.client), "framework "+string(first.framework.id))}}
			}
			return []Finding{{Reason: LowerSharesFirst, Message: fmt.Sprintf("other roles are served first: the share of role %s is ", s.role.name) +
				against(a.order.ShareOf(s.role.name), a.order.ShareOf(first.role.name), "role "+first.role.name)}}
		}
	}
	return nil
}

// against compares a share with that of who is served first.
func against(mine, other float64, who string) string {
	if mine == other {
		return fmt.Sprintf("%.2f like that of %s, and equals take turns", mine, who)
	}
	return fmt.Sprintf("%.2f against %.2f of %s", mine, other, who)
}

// outrankedWords says by which ranks another is served first, and nothing if it
// is not by ranks.
func (a *Allocator) outrankedWords(s, first *subscription) string {
	if first.role == s.role {
		mine, other := s.role.frameworks.RankOf(string(s.framework.id)), s.role.frameworks.RankOf(string(first.framework.id))
		if other < mine {
			return fmt.Sprintf("the allocation policy puts other frameworks first: rank %d against %d of framework %s", mine, other, first.framework.id)
		}
		return ""
	}
	if mine, other := a.order.RankOf(s.role.name), a.order.RankOf(first.role.name); other < mine {
		return fmt.Sprintf("the allocation policy puts other roles first: rank %d against %d of role %s", mine, other, first.role.name)
	}
	return ""
}
