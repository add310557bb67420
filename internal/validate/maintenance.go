package validate

import (
	"net/netip"
	"strconv"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	maintenancepb "github.com/meseta-project/meseta/api/mesos/v1/maintenance"
	"github.com/meseta-project/meseta/internal/refusal"
)

// A machine is what tells one MachineID from another.
type machine struct{ hostname, ip string }

func machineOf(id *mesos.MachineID) machine {
	return machine{strings.ToLower(id.GetHostname()), id.GetIp()}
}

// MaintenanceSchedule refuses a schedule with an empty window, a negative
// duration, machines that are none or stand in it twice, or without one of
// those that are down now.
func MaintenanceSchedule(s *maintenancepb.Schedule, down []*mesos.MachineID) error {
	seen := map[machine]bool{}
	for _, window := range s.GetWindows() {
		if len(window.GetMachineIds()) == 0 {
			return refusal.Invalidf("List of machines in the maintenance window is empty")
		}
		if window.GetUnavailability().GetDuration().GetNanoseconds() < 0 {
			return refusal.Invalidf("Unavailability 'duration' is negative")
		}
		if err := newMachines(window.GetMachineIds(), seen); err != nil {
			return err
		}
	}
	for _, id := range down {
		if !seen[machineOf(id)] {
			return refusal.Invalidf("Machine '%s' is deactivated and cannot be removed from the schedule", MachineText(id))
		}
	}
	return nil
}

// Machines refuses to start or stop the maintenance of no machines, of what
// are none, and of one that is named twice.
func Machines(ids []*mesos.MachineID) error {
	if len(ids) == 0 {
		return refusal.Invalidf("List of machines is empty")
	}
	return newMachines(ids, map[machine]bool{})
}

// newMachines refuses machines that are seen already, and adds the others.
func newMachines(ids []*mesos.MachineID, seen map[machine]bool) error {
	for _, id := range ids {
		if id.GetHostname() == "" && id.GetIp() == "" {
			return refusal.Invalidf("Both 'hostname' and 'ip' for a machine are empty")
		}
		if ip := id.GetIp(); ip != "" {
			if addr, err := netip.ParseAddr(ip); err != nil || !addr.Is4() {
				return refusal.Invalidf("Failed to parse IPv4: %s", ip)
			}
		}
		if seen[machineOf(id)] {
			return refusal.Invalidf("Machine '%s' appears more than once in the schedule", MachineText(id))
		}
		seen[machineOf(id)] = true
	}
	return nil
}

// MachineText prints id as the JSON that Mesos puts in these texts.
func MachineText(id *mesos.MachineID) string {
	var fields []string
	if id.Hostname != nil {
		fields = append(fields, `"hostname":`+strconv.Quote(id.GetHostname()))
	}
	if id.Ip != nil {
		fields = append(fields, `"ip":`+strconv.Quote(id.GetIp()))
	}
	return "{" + strings.Join(fields, ",") + "}"
}
