package registry

import (
	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	maintenancepb "github.com/meseta-project/meseta/api/mesos/v1/maintenance"
	messages "github.com/meseta-project/meseta/api/messages"
)

// A machine is recorded while it stands in the schedule: it is draining until
// its maintenance is started, and down until that is stopped. A schedule may name
// very many, so it and they are recorded one by one; who does so sees to it that
// they agree at last.

// SetSchedule replaces the maintenance schedule.
func (r *Registry) SetSchedule(s *maintenancepb.Schedule) Change {
	if len(s.GetWindows()) == 0 {
		r.schedules = nil
		return Change{keyMaintenance, nil}
	}
	r.schedules = []*maintenancepb.Schedule{s}
	return Change{keyMaintenance, &messages.Registry{Schedules: r.schedules}}
}

// Drain records that a machine stands in the schedule. It is draining, unless it is
// down.
func (r *Registry) Drain(id *mesos.MachineID, when *mesos.Unavailability) Change {
	mode := mesos.MachineInfo_DRAINING
	if old := r.machines.Get(keyOf(id)); old.GetInfo().GetMode() == mesos.MachineInfo_DOWN {
		mode = mesos.MachineInfo_DOWN
	}
	return r.putMachine(keyOf(id), &mesos.MachineInfo{Id: id, Mode: mode.Enum(), Unavailability: when})
}

// TakeDown records that a machine, which must be draining, is down.
func (r *Registry) TakeDown(id *mesos.MachineID) Change {
	info := r.machines.Get(keyOf(id)).GetInfo().CloneVT()
	info.Mode = mesos.MachineInfo_DOWN.Enum()
	return r.putMachine(keyOf(id), info)
}

// BringUp records that a machine is up again, or does not stand in the schedule any
// more.
func (r *Registry) BringUp(id *mesos.MachineID) Change {
	r.machines.Delete(keyOf(id))
	return Change{keyMachine(keyOf(id)), nil}
}

func (r *Registry) putMachine(key MachineKey, info *mesos.MachineInfo) Change {
	m := &messages.Registry_Machine{Info: info}
	r.machines.Put(key, m)
	return Change{keyMachine(key), m}
}
