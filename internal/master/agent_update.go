package master

import (
	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/resources"
)

// updateAgent takes an UpdateSlaveMessage: what an agent has to offer beside
// its own resources (oversubscribed ones), and by which version it goes.
func (m *Master) updateAgent(from ids.UPID, msg *messages.UpdateSlaveMessage) {
	m.counters.Messages.UpdateAgent++
	a := m.registered(ids.AgentID(msg.GetSlaveId().GetValue()))
	if a == nil {
		m.unwanted(msg, from, "the agent is not registered")
		return
	}
	if err := resources.ValidateAll(msg.OversubscribedResources); err != nil {
		m.unwanted(msg, from, err.Error())
		return
	}
	lent := resources.Trusted(msg.OversubscribedResources).Unallocated()
	if lent.Any(resources.Resource.IsReserved) || !lent.NonRevocable().IsEmpty() {
		m.unwanted(msg, from, "what is oversubscribed must be revocable and unreserved")
		return
	}
	if a.isAnotherProcess(msg.ResourceVersionUuid) {
		m.unwanted(msg, from, "it is not from the process that registered")
		m.askToRegister(a)
		return
	}
	if v := msg.ResourceVersionUuid; v != nil {
		a.version = v.Value
	}
	if !m.leaving[a.id] { // else they are about to end
		m.reconcileAgentOperations(a, msg.GetOperations().GetOperations())
	}
	total := a.row.Total
	if msg.UpdateOversubscribedResources == nil || msg.GetUpdateOversubscribedResources() {
		total = total.NonRevocable().Add(lent)
	}
	if total.Equal(a.row.Total) {
		return
	}
	for _, o := range inOrder(a.offers) {
		if o.row.Resources.Any(resources.Resource.IsRevocable) {
			m.rescind(o)
		}
	}
	m.setTotal(a, total)
	m.alloc.UpdateAgent(m.allocatorAgent(a))
}

// isAnotherProcess reports whether a message with that resource version is from
// another process than the one that registered as this agent. Some agents have no
// version: then nobody knows.
func (a *agent) isAnotherProcess(version *mesos.UUID) bool {
	return len(a.version) > 0 && version != nil && !a.isProcess(version)
}

// askToRegister has an agent register again, as one that is not connected. What the
// books have of it may be from a registration of an earlier process, which we have
// read late; the one that is there now has taken our answer for one to its own, and
// would never say of what it does not run any more that it does not.
func (m *Master) askToRegister(a *agent) { m.sendPing(a, false) }
