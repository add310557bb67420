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

// MaintenanceWindow refuses a window without machines, or of a negative duration.
func MaintenanceWindow(window *maintenancepb.Window) error {
	if len(window.GetMachineIds()) == 0 {
		return refusal.Invalidf("List of machines in the maintenance window is empty")
	}
	if window.GetUnavailability().GetDuration().GetNanoseconds() < 0 {
		return refusal.Invalidf("Unavailability 'duration' is negative")
	}
	return nil
}

// Machines are those of a call.
type Machines map[machine]bool

// Add refuses what is no machine, and one that is named twice.
func (ms Machines) Add(id *mesos.MachineID) error {
	if id.GetHostname() == "" && id.GetIp() == "" {
		return refusal.Invalidf("Both 'hostname' and 'ip' for a machine are empty")
	}
	if ip := id.GetIp(); ip != "" {
		if addr, err := netip.ParseAddr(ip); err != nil || !addr.Is4() {
			return refusal.Invalidf("Failed to parse IPv4: %s", ip)
		}
	}
	if ms.Has(id) {
		return refusal.Invalidf("Machine '%s' appears more than once in the schedule", MachineText(id))
	}
	ms[machineOf(id)] = true
	return nil
}

// Has reports whether a machine is one of them.
func (ms Machines) Has(id *mesos.MachineID) bool { return ms[machineOf(id)] }

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
