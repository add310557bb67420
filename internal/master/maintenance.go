package master

import (
	"log/slog"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	maintenancepb "github.com/meseta-project/meseta/api/mesos/v1/maintenance"
	messages "github.com/meseta-project/meseta/api/messages"
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

// updateSchedule answers UPDATE_MAINTENANCE_SCHEDULE.
func (m *Master) updateSchedule(request RequestID, s *maintenancepb.Schedule) {
	u := newUpkeep(request, false) // of those named before, and those named now
	all, named := allScheduled(s), validate.Machines{}
	var before []*messages.Registry_Machine
	var missing *mesos.MachineID
	m.undertake(request, each(&all, func(_ int, one scheduled) *refusal.Error {
		err := validate.MaintenanceWindow(one.window)
		if err == nil && one.machine != nil {
			err = named.Add(one.machine)
			u.changed[keyOfMachine(one.machine)] = true
		}
		return invalid(err)
	}), once(func() {
		before = m.registry.MachineList()
	}), each(&before, func(_ int, old *messages.Registry_Machine) *refusal.Error {
		id := old.GetInfo().GetId()
		u.changed[keyOfMachine(id)] = true
		if old.GetInfo().GetMode() == mesos.MachineInfo_DOWN && !named.Has(id) &&
			(missing == nil || keyOfMachine(id) < keyOfMachine(missing)) {
			missing = id
		}
		return nil
	}), check(func() *refusal.Error {
		if missing != nil {
			return refusal.Invalidf("Machine '%s' is deactivated and cannot be removed from the schedule", validate.MachineText(missing))
		}
		u.changes = append(u.changes, m.registry.SetSchedule(s))
		return nil
	}), each(&all, func(_ int, one scheduled) *refusal.Error {
		if one.machine != nil {
			u.changes = append(u.changes, m.registry.Drain(one.machine, one.window.GetUnavailability()))
		}
		return nil
	}), each(&before, func(_ int, old *messages.Registry_Machine) *refusal.Error {
		if id := old.GetInfo().GetId(); !named.Has(id) {
			u.changes = append(u.changes, m.registry.BringUp(id))
		}
		return nil
	}), m.record(u))
}

// A scheduled is a machine in a schedule, or the window of those that follow.
type scheduled struct {
	window  *maintenancepb.Window
	machine *mesos.MachineID // or nil
}

func allScheduled(s *maintenancepb.Schedule) []scheduled {
	n := 0
	for _, window := range s.GetWindows() {
		n += 1 + len(window.GetMachineIds())
	}
	all := make([]scheduled, 0, n)
	for _, window := range s.GetWindows() {
		all = append(all, scheduled{window, nil})
		for _, id := range window.GetMachineIds() {
			all = append(all, scheduled{window, id})
		}
	}
	return all
}

// invalid returns what is wrong with a call as a refusal.
func invalid(err error) *refusal.Error {
	if err == nil {
		return nil
	}
	return refusal.Invalidf("%s", err)
}

// startMaintenance answers START_MAINTENANCE.
func (m *Master) startMaintenance(request RequestID, machines []*mesos.MachineID) {
	u := newUpkeep(request, true)
	stages := m.eachIs(&machines, mesos.MachineInfo_DRAINING, "Machine '%s' is not in DRAINING mode and cannot be brought down")
	m.undertake(request, append(stages, each(&machines, func(_ int, id *mesos.MachineID) *refusal.Error {
		u.changed[keyOfMachine(id)] = true
		u.changes = append(u.changes, m.registry.TakeDown(id))
		return nil
	}), m.record(u))...)
}

// stopMaintenance answers STOP_MAINTENANCE. The machines are taken off the schedule.
func (m *Master) stopMaintenance(request RequestID, machines []*mesos.MachineID) {
	u := newUpkeep(request, false)
	stages := m.eachIs(&machines, mesos.MachineInfo_DOWN, "Machine '%s' is not in DOWN mode and cannot be brought up")
	var before []scheduled
	left := &maintenancepb.Schedule{}
	m.undertake(request, append(stages, each(&machines, func(_ int, id *mesos.MachineID) *refusal.Error {
		u.changed[keyOfMachine(id)] = true
		u.changes = append(u.changes, m.registry.BringUp(id))
		return nil
	}), once(func() {
		for _, s := range m.registry.Schedules() {
			before = allScheduled(s)
		}
	}), each(&before, func(_ int, one scheduled) *refusal.Error {
		last := len(left.Windows) - 1
		switch {
		case one.machine == nil && (last < 0 || len(left.Windows[last].MachineIds) > 0):
			left.Windows = append(left.Windows, &maintenancepb.Window{Unavailability: one.window.Unavailability})
		case one.machine == nil: // nothing is left of the one before
			left.Windows[last].Unavailability = one.window.Unavailability
		case !u.changed[keyOfMachine(one.machine)]:
			left.Windows[last].MachineIds = append(left.Windows[last].MachineIds, one.machine)
		}
		return nil
	}), once(func() {
		if last := len(left.Windows) - 1; last >= 0 && len(left.Windows[last].MachineIds) == 0 {
			left.Windows = left.Windows[:last]
		}
		u.changes = append(u.changes, m.registry.SetSchedule(left))
	}), m.record(u))...)
}

// eachIs refuses no machines, what are none, and machines that are not scheduled, or
// in another mode.
func (m *Master) eachIs(machines *[]*mesos.MachineID, mode mesos.MachineInfo_Mode, otherwise string) []stage {
	named := validate.Machines{}
	return []stage{check(func() *refusal.Error {
		if len(*machines) == 0 {
			return refusal.Invalidf("List of machines is empty")
		}
		return nil
	}), each(machines, func(_ int, id *mesos.MachineID) *refusal.Error {
		return invalid(named.Add(id))
	}), each(machines, func(_ int, id *mesos.MachineID) *refusal.Error {
		switch info := m.registry.Machine(id.GetHostname(), id.GetIp()); {
		case info == nil:
			return refusal.Invalidf("Machine '%s' is not part of a maintenance schedule", validate.MachineText(id))
		case info.GetMode() != mode:
			return refusal.Invalidf(otherwise, validate.MachineText(id))
		}
		return nil
	})}
}

// An upkeep is a change of the maintenance of machines, that is recorded, and that
// agents are told of then.
type upkeep struct {
	request RequestID
	changed map[registry.MachineKey]bool
	down    bool // they are taken down
	changes []registry.Change
	slot    int // the row of agents to go on with
}

func newUpkeep(request RequestID, down bool) *upkeep {
	return &upkeep{request: request, changed: map[registry.MachineKey]bool{}, down: down}
}

func keyOfMachine(id *mesos.MachineID) registry.MachineKey {
	return registry.KeyOfMachine(id.GetHostname(), id.GetIp())
}

func (m *Master) record(u *upkeep) stage {
	return once(func() { m.persist(u.changes, maintained{u}) })
}

// maintenanceChanged tells all whom the maintenance of machines concerns, once
// it is recorded.
func (m *Master) maintenanceChanged(u *upkeep) {
	u.changes = nil
	if len(m.agents) > m.cfg.AllocationBudget/4 || len(m.upkeeps) > 0 {
		m.upkeeps = append(m.upkeeps, u)
		return
	}
	for _, a := range inOrder(m.agents) {
		m.maintain(u, a)
	}
	m.reply(u.request, nil)
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
	m.editAgent(a).Answers = nil
	m.alloc.SetUnavailability(a.id, a.unavailability)
}

// answerLater answers a request that was refused. One that was taken is
// answered when what it has changed is recorded.
func (m *Master) answerLater(request RequestID, err *refusal.Error) {
	if err != nil {
		m.reply(request, err)
	}
}
