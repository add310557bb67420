package master

import (
	"log/slog"
	"strconv"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/invariant"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/validate"
	"github.com/meseta-project/meseta/resources"
)

// registerAgent answers RegisterSlaveMessage of an agent that has no ID yet.
func (m *Master) registerAgent(from ids.UPID, over uint64, msg *messages.RegisterSlaveMessage) {
	m.counters.Messages.RegisterAgent++
	err := validate.RegisterAgent(msg)
	if err == nil {
		_, err = totalOf(msg.Slave, msg.CheckpointedResources, msg.AgentCapabilities)
	}
	if err != nil {
		m.unwanted(msg, from, err.Error())
		return
	}
	if m.admitting[from] {
		m.unwanted(msg, from, "its admission is under way")
		return
	}
	if why := m.mayJoin(msg.Slave, from, msg.GetVersion()); why != "" {
		m.unwanted(msg, from, why)
		return
	}
	if old := m.agentAt[from]; old != nil {
		if old == m.going { // it tries again
			m.unwanted(msg, from, "the agent at its address is out of the registry")
			return
		}
		if old.row.Connected || old.isProcess(msg.ResourceVersionUuid) { // it has not had the answer, or has by now
			m.send(old, &messages.SlaveRegisteredMessage{SlaveId: agentID(old.id), Connection: m.welcome()})
			return
		}
		m.dismiss(old, removedForNew)
	}
	id := ids.AgentIDFor(m.id, m.agentCount)
	m.agentCount++
	info := msg.Slave.CloneVT()
	info.Id = agentID(id)
	changes, err := m.registry.Admit(info)
	if err != nil {
		m.unwanted(msg, from, err.Error())
		return
	}
	m.admitting[from] = true
	m.persist(changes, admitted{from, over, &messages.RegisterSlaveMessage{
		Slave:                 info,
		CheckpointedResources: msg.CheckpointedResources,
		Version:               msg.Version,
		AgentCapabilities:     msg.AgentCapabilities,
		ResourceVersionUuid:   msg.ResourceVersionUuid,
	}})
}

// isProcess reports whether a message with that resource version is from the
// process that registered as this agent: a new one would have another. Messages
// may be late, so the address alone does not tell.
func (a *agent) isProcess(version *mesos.UUID) bool {
	return len(a.version) > 0 && string(a.version) == string(version.GetValue())
}

// agentAdmitted welcomes an agent that the registry has.
func (m *Master) agentAdmitted(in admitted) {
	from, msg := in.from, in.msg
	delete(m.admitting, from)
	total := mustTotal(totalOf(msg.Slave, msg.CheckpointedResources, msg.AgentCapabilities))
	a := m.addAgent(msg.Slave, from, msg.GetVersion(), msg.AgentCapabilities, total, msg.ResourceVersionUuid)
	a.over = in.over
	m.counters.AgentRegistrations++
	m.offerAgent(a)
	m.send(a, &messages.SlaveRegisteredMessage{SlaveId: agentID(a.id), Connection: m.welcome()})
	m.log.Info("agent registered", slog.String("agent_id", string(a.id)), slog.String("pid", string(from)), slog.String("resources", total.String()))
}

// mayJoin says why an agent that wants to register or re-register is not let
// in, or nothing.
func (m *Master) mayJoin(info *mesos.AgentInfo, from ids.UPID, version string) string {
	machine := m.registry.Machine(info.GetHostname(), from.AddrPort().Addr().String())
	switch {
	case machine != nil && machine.GetMode() == mesos.MachineInfo_DOWN:
		m.shutdown(from, "Machine is `DOWN`")
		return "its machine is down for maintenance"
	case !recentEnough(version):
		return "its version is older than 1.0.0 or cannot be read"
	case info.Domain != nil && m.info.Domain == nil:
		return "it has a domain, the master has none"
	case info.Domain == nil && m.cfg.RequireAgentDomain:
		return "it has no domain, which --require_agent_domain asks for"
	}
	return ""
}

// recentEnough reports whether a version, "1.2.3" with or without more, is at
// least 1.0.0.
func recentEnough(version string) bool {
	major, rest, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(major)
	return err == nil && n >= 1 && rest != ""
}

// totalOf returns what an agent has, given what it checkpointed of the
// operations on it. Its resources have been validated. It fails if they do not
// go together, or with what the agent can do.
func totalOf(info *mesos.AgentInfo, checkpointed []*mesos.Resource, caps []*mesos.AgentInfo_Capability) (resources.Resources, error) {
	total := resources.Trusted(info.Resources).Unallocated()
	total, err := total.WithCheckpointed(resources.Trusted(checkpointed).Unallocated())
	if err == nil && total.Any(resources.Resource.IsRefined) && !agentCapsOf(caps).reservationRefinement {
		err = refusal.Invalidf("Agent has refined reservations and no RESERVATION_REFINEMENT capability")
	}
	return total, err
}

// mustTotal is for what was checked before the registry was asked.
func mustTotal(total resources.Resources, err error) resources.Resources {
	invariant.Check(err == nil, "agent in the registry has no valid resources", "error", err)
	return total
}
