package master

import (
	"log/slog"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	maintenancepb "github.com/meseta-project/meseta/api/mesos/v1/maintenance"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/registry"
	"github.com/meseta-project/meseta/internal/validate"
)

// A machine is what operators take down. Its mode:
//
//	   ┌────────── schedule without it ───────────┐
//	   ▼            schedule                      │
//	   UP ─────────────────────────────────▶ DRAINING
//	   ▲                                          │
//	   └─ STOP_MAINTENANCE ─── DOWN ◀─── START_MAINTENANCE
//
// While it is draining, offers of its agents say when it will be unavailable,
// and frameworks that have something there are asked to leave, by inverse
// offers. Down, it has no agents: they are sent away, and not let in.

// updateSchedule answers UPDATE_MAINTENANCE_SCHEDULE. It returns nil if the
// answer is to come when the registry has it.
func (m *Master) updateSchedule(request RequestID, s *maintenancepb.Schedule) *refusal.Error {
	var down []*mesos.MachineID
	var changed []*mesos.MachineID // those dropped, then those named
	for _, info := range m.registry.Machines() {
		changed = append(changed, info.Id)
		if info.GetMode() == mesos.MachineInfo_DOWN {
			down = append(down, info.Id)
		}
	}
	if err := validate.MaintenanceSchedule(s, down); err != nil {
		return refusal.Invalidf("%s", err)
	}
	for _, window := range s.GetWindows() {
		changed = append(changed, window.GetMachineIds()...)
	}
	m.persist(m.registry.SetSchedule(s), maintained{request: request, machines: changed})
	return nil
}

// startMaintenance answers START_MAINTENANCE.
func (m *Master) startMaintenance(request RequestID, machines []*mesos.MachineID) *refusal.Error {
	err := m.eachIs(machines, mesos.MachineInfo_DRAINING, "Machine '%s' is not in DRAINING mode and cannot be brought down")
	return m.setMaintenance(request, machines, err, m.registry.StartMaintenance, true)
}

// stopMaintenance answers STOP_MAINTENANCE.
func (m *Master) stopMaintenance(request RequestID, machines []*mesos.MachineID) *refusal.Error {
	err := m.eachIs(machines, mesos.MachineInfo_DOWN, "Machine '%s' is not in DOWN mode and cannot be brought up")
	return m.setMaintenance(request, machines, err, m.registry.StopMaintenance, false)
}

func (m *Master) setMaintenance(request RequestID, machines []*mesos.MachineID, err *refusal.Error,
	record func([]*mesos.MachineID) []registry.Put, down bool,
) *refusal.Error {
	if err != nil {
		return err
	}
	m.persist(record(machines), maintained{request: request, machines: machines, down: down})
	return nil
}

// eachIs refuses machines that are not scheduled, or in another mode.
func (m *Master) eachIs(machines []*mesos.MachineID, mode mesos.MachineInfo_Mode, otherwise string) *refusal.Error {
	if err := validate.Machines(machines); err != nil {
		return refusal.Invalidf("%s", err)
	}
	for _, id := range machines {
		switch info := m.registry.Machine(id.GetHostname(), id.GetIp()); {
		case info == nil:
			return refusal.Invalidf("Machine '%s' is not part of a maintenance schedule", validate.MachineText(id))
		case info.GetMode() != mode:
			return refusal.Invalidf(otherwise, validate.MachineText(id))
		}
	}
	return nil
}

// An upkeep is a change of the maintenance of machines that agents are being told
// of.
type upkeep struct {
	maintained
	changed map[registry.MachineKey]bool
	slot    int // the row of agents to go on with
}

// maintenanceChanged tells all whom the maintenance of machines concerns, once
// it is recorded.
func (m *Master) maintenanceChanged(c maintained) {
	u := &upkeep{maintained: c, changed: map[registry.MachineKey]bool{}}
	for _, id := range c.machines {
		u.changed[registry.KeyOfMachine(id.GetHostname(), id.GetIp())] = true
	}
	if len(m.agents) > m.cfg.AllocationBudget/4 || len(m.upkeeps) > 0 {
		m.upkeeps = append(m.upkeeps, u)
		return
	}
	for _, a := range inOrder(m.agents) {
		m.maintain(u, a)
	}
	m.reply(c.request, nil)
}

// maintainSome goes on with such changes, the first come first. It may look at
// budget agents, and returns how many of them are left.
func (m *Master) maintainSome(budget int) (left int) {
	for len(m.upkeeps) > 0 {
		u := m.upkeeps[0]
		for slot, row := range m.agentRows.table.From(u.slot) {
			if budget <= 0 {
				u.slot = slot
				return 0
			}
			budget--
			if m.maintain(u, m.agents[row.ID]) {
				budget -= 15
			}
		}
		m.upkeeps = m.upkeeps[1:]
		m.reply(u.request, nil)
	}
	return max(0, budget)
}

// maintain does to an agent what a change asks for, and reports whether it
// concerns it.
func (m *Master) maintain(u *upkeep, a *agent) bool {
	switch {
	case !u.changed[a.machine()]:
		return false
	case u.down:
		m.log.Info("machine is taken down", slog.String("agent_id", string(a.id)))
		m.shutdown(a.row.PID, removedDown.String())
		m.dismiss(a, removedDown)
	default:
		m.rescindAll(a)
		m.heedSchedule(a)
	}
	return true
}

// machine names the machine that an agent is on.
func (a *agent) machine() registry.MachineKey {
	return registry.KeyOfMachine(a.row.Info.GetHostname(), a.row.PID.AddrPort().Addr().String())
}

// heedSchedule notes whether an agent's machine is to be taken down.
func (m *Master) heedSchedule(a *agent) {
	info := m.registry.Machine(a.row.Info.GetHostname(), a.row.PID.AddrPort().Addr().String())
	if info == nil && a.unavailability == nil {
		return
	}
	a.unavailability = info.GetUnavailability()
	if a.unavailability == nil {
		delete(m.maintained, a.id)
	} else {
		m.maintained[a.id] = a
	}
	m.alloc.SetUnavailability(a.id, a.unavailability)
}

// answerLater answers a request that was refused. One that was taken is
// answered when what it has changed is recorded.
func (m *Master) answerLater(request RequestID, err *refusal.Error) {
	if err != nil {
		m.reply(request, err)
	}
}
