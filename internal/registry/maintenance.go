package registry

import (
	"slices"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	maintenancepb "github.com/meseta-project/meseta/api/mesos/v1/maintenance"
	messages "github.com/meseta-project/meseta/api/messages"
)

// A machine is recorded while it stands in the schedule: it is draining until
// its maintenance is started, and down until that is stopped.

// SetSchedule replaces the maintenance schedule. Machines that it names and that
// are not down are draining; those that it names no more are up.
func (r *Registry) SetSchedule(s *maintenancepb.Schedule) []Put {
	named := map[string]bool{}
	puts := r.putSchedule(s)
	for _, window := range s.GetWindows() {
		for _, id := range window.GetMachineIds() {
			name := machineName(id.GetHostname(), id.GetIp())
			named[name] = true
			mode := mesos.MachineInfo_DRAINING
			if old := r.machines[name]; old.GetInfo().GetMode() == mesos.MachineInfo_DOWN {
				mode = mesos.MachineInfo_DOWN
			}
			puts = append(puts, r.putMachine(name, &mesos.MachineInfo{
				Id: id, Mode: mode.Enum(), Unavailability: window.GetUnavailability(),
			}))
		}
	}
	for _, name := range sorted(r.machines) {
		if !named[name] {
			puts = append(puts, r.dropMachine(name))
		}
	}
	return puts
}

// StartMaintenance records that machines, which must be draining, are down.
func (r *Registry) StartMaintenance(machines []*mesos.MachineID) []Put {
	var puts []Put
	for _, id := range machines {
		name := machineName(id.GetHostname(), id.GetIp())
		info := r.machines[name].GetInfo().CloneVT()
		info.Mode = mesos.MachineInfo_DOWN.Enum()
		puts = append(puts, r.putMachine(name, info))
	}
	return puts
}

// StopMaintenance records that machines, which must be down, are up again, and
// takes them off the schedule.
func (r *Registry) StopMaintenance(machines []*mesos.MachineID) []Put {
	up := map[string]bool{}
	var puts []Put
	for _, id := range machines {
		name := machineName(id.GetHostname(), id.GetIp())
		up[name] = true
		puts = append(puts, r.dropMachine(name))
	}
	s := &maintenancepb.Schedule{}
	if len(r.schedules) > 0 {
		s = r.schedules[0].CloneVT()
	}
	for _, w := range s.Windows {
		w.MachineIds = slices.DeleteFunc(w.MachineIds, func(id *mesos.MachineID) bool {
			return up[machineName(id.GetHostname(), id.GetIp())]
		})
	}
	s.Windows = slices.DeleteFunc(s.Windows, func(w *maintenancepb.Window) bool { return len(w.MachineIds) == 0 })
	return append(puts, r.putSchedule(s)...)
}

func (r *Registry) putSchedule(s *maintenancepb.Schedule) []Put {
	if len(s.GetWindows()) == 0 {
		r.schedules = nil
		return []Put{{keyMaintenance, nil}}
	}
	r.schedules = []*maintenancepb.Schedule{s}
	return []Put{{keyMaintenance, marshal(&messages.Registry{Schedules: r.schedules})}}
}

func (r *Registry) putMachine(name string, info *mesos.MachineInfo) Put {
	m := &messages.Registry_Machine{Info: info}
	r.machines[name] = m
	return Put{keyMachine(name), marshal(m)}
}

func (r *Registry) dropMachine(name string) Put {
	delete(r.machines, name)
	return Put{keyMachine(name), nil}
}
