package master

import (
	"fmt"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/refusal"
)

const (
	// maxInquiries is how many questions are worked on; more are refused.
	maxInquiries = 16
	// maxExplanations bounds an answer: of a role with many frameworks, it is
	// about the first of them.
	maxExplanations = 20
	// exploreBudget is how many agents are looked at in one call of Effects:
	// a millisecond or two.
	exploreBudget = 500
)

// An inquiry is a question that is worked on whenever there are effects, some
// agents at a time.
type inquiry struct {
	request RequestID
	asked   Explain
	*allocator.Inquiry
}

// explain takes a question, or refuses it.
func (m *Master) explain(in Explain) {
	if err := m.unexplained(in); err != nil {
		m.reply(in.Request, err)
		return
	}
	if why, words := m.absent(in.Agent); why != "" {
		m.answer(in.Request, m.beyondAllocator(in, allocator.Finding{
			Reason: why, Message: words, Agents: 1, Example: in.Agent,
		}), 0)
		return
	}
	m.inquiries = append(m.inquiries, inquiry{in.Request, in, m.alloc.Inquire(allocator.Query{
		Framework: in.Framework, Role: in.Role, Agent: in.Agent, Most: maxExplanations, Inactive: m.whyInactive,
	})})
}

// unexplained says why a question cannot be answered.
func (m *Master) unexplained(in Explain) *refusal.Error {
	f := m.frameworks[in.Framework]
	switch {
	case len(m.inquiries) == maxInquiries:
		return refusal.Unavailablef("The master is busy with %d such questions; ask again in a second", maxInquiries)
	case in.Framework != "" && f == nil:
		return refusal.NotFoundf("There is no framework '%s', or it is completed", in.Framework)
	case in.Framework != "" && in.Role != "" && f.notItsRoles([]string{in.Role}) != "":
		return refusal.NotFoundf("Framework '%s' is not subscribed to role '%s', but to %q", in.Framework, in.Role, f.roles)
	case in.Framework == "" && !m.hasRole(in.Role):
		return refusal.NotFoundf("No framework is subscribed to role '%s'", in.Role)
	case in.Agent != "" && m.agents[in.Agent] == nil:
		if why, _ := m.absent(in.Agent); why == "" {
			return refusal.NotFoundf("There is no agent '%s'", in.Agent)
		}
	}
	return nil
}

// hasRole reports whether a framework is subscribed to a role.
func (m *Master) hasRole(role string) bool {
	for _, f := range m.frameworks {
		if f.notItsRoles([]string{role}) == "" {
			return true
		}
	}
	return false
}

// absent says where an agent is that was here, with an earlier leader at least.
func (m *Master) absent(id ids.AgentID) (allocator.Reason, string) {
	if at, ok := m.registry.Unreachable(id); ok {
		since := time.Unix(0, at.GetNanoseconds())
		return allocator.AgentUnreachable, fmt.Sprintf("the agent has been unreachable since %s", stamp(since))
	}
	if m.recovered.Has(id) {
		return allocator.AgentNotBack, "the agent was there when this master took over, and has not come back yet"
	}
	return "", ""
}

// whyInactive says why an agent's resources are not offered.
func (m *Master) whyInactive(id ids.AgentID) (allocator.Reason, string) {
	a := m.agents[id]
	switch row := a.row; {
	case row.Drain != nil && row.Drain.GetState() == mesos.DrainState_DRAINED:
		return allocator.AgentDraining, "the agent is drained; REACTIVATE_AGENT has it offered again"
	case row.Drain != nil:
		return allocator.AgentDraining, "the agent is draining"
	case row.Deactivated:
		return allocator.AgentDeactivated, "an operator has deactivated the agent; REACTIVATE_AGENT ends that"
	case a.state == disconnected && a.away != nil:
		return allocator.AgentDisconnected, fmt.Sprintf("the agent is disconnected; it is given up at %s", stamp(a.away.at))
	case a.state == disconnected:
		return allocator.AgentDisconnected, "the agent is disconnected"
	default:
		return allocator.AgentDeactivated, "the agent is deactivated"
	}
}

// explore works on the question that was asked first, unless an agent is here in part
// only: of that the allocator does not know enough. It reports whether there is more
// to do.
func (m *Master) explore() (more bool) {
	if len(m.inquiries) == 0 {
		return false
	}
	if m.coming != nil || m.going != nil {
		return true
	}
	first := m.inquiries[0]
	if m.alloc.Explore(m.now, first.Inquiry, exploreBudget) {
		m.inquiries = m.inquiries[1:]
		m.answer(first.request, m.complete(first), first.Omitted)
	}
	return len(m.inquiries) > 0
}

func (m *Master) answer(request RequestID, all []allocator.Explanation, omitted int) {
	if len(all) == 0 {
		m.reply(request, refusal.NotFoundf("The framework has gone, or left the role"))
		return
	}
	m.out.Messages = append(m.out.Messages, Reply{Request: request, Explanations: all, Omitted: omitted})
}

// complete adds what the allocator does not know: why a framework is away, and
// which agents are.
func (m *Master) complete(of inquiry) []allocator.Explanation {
	all := of.Explanations
	if of.asked.Agent != "" {
		return m.withFrameworks(all)
	}
	for i := range all {
		if n := m.registry.UnreachableLen(); n > 0 {
			all[i].Findings = append(all[i].Findings, allocator.Finding{
				Reason: allocator.AgentUnreachable, Agents: n, Message: "unreachable",
			})
		}
		if n := m.recovered.Len(); n > 0 {
			all[i].Findings = append(all[i].Findings, allocator.Finding{
				Reason: allocator.AgentNotBack, Agents: n, Message: "not back since this master took over",
			})
		}
	}
	return m.withFrameworks(all)
}

// withFrameworks says more of why a framework is inactive.
func (m *Master) withFrameworks(all []allocator.Explanation) []allocator.Explanation {
	for _, e := range all {
		f := m.frameworks[e.Framework]
		for i := range e.Findings {
			if f != nil && e.Findings[i].Reason == allocator.FrameworkInactive {
				e.Findings[i] = m.whyAway(f)
			}
		}
	}
	return all
}

// whyAway says why a framework gets no offers at all.
func (m *Master) whyAway(f *framework) allocator.Finding {
	switch {
	case f.state == recovered:
		return allocator.Finding{Reason: allocator.FrameworkNotBack, Message: "the framework has not subscribed since this master took over"}
	case f.state == away && f.failover != nil:
		return allocator.Finding{
			Reason: allocator.FrameworkAway, Until: f.failover.at,
			Message: fmt.Sprintf("the framework is disconnected; it is ended at %s if it does not subscribe", stamp(f.failover.at)),
		}
	case f.state == away:
		return allocator.Finding{Reason: allocator.FrameworkAway, Message: "the framework is disconnected"}
	default:
		return allocator.Finding{Reason: allocator.FrameworkInactive, Message: "the framework's driver has stopped offers"}
	}
}

// beyondAllocator explains by one reason that is the same for all who ask.
func (m *Master) beyondAllocator(in Explain, found allocator.Finding) []allocator.Explanation {
	e := allocator.Explanation{Framework: in.Framework, Role: in.Role, Seen: 1, Findings: []allocator.Finding{found}}
	if f := m.frameworks[in.Framework]; f != nil {
		e.Name = f.row.Info.GetName()
	}
	return []allocator.Explanation{e}
}

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339) }
