package registry_test

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	maintenancepb "github.com/meseta-project/meseta/api/mesos/v1/maintenance"
	"github.com/meseta-project/meseta/internal/registry"
)

func window(hosts ...string) *maintenancepb.Window {
	w := &maintenancepb.Window{Unavailability: &mesos.Unavailability{Start: &mesos.TimeInfo{Nanoseconds: new(int64(1))}}}
	for _, host := range hosts {
		w.MachineIds = append(w.MachineIds, &mesos.MachineID{Hostname: &host, Ip: new("10.0.0.1")})
	}
	return w
}

// TestMaintenance takes machines through their modes; what is stored is what is
// known after each step.
func TestMaintenance(t *testing.T) {
	r, s := registry.New(), store{}
	step := func(puts []registry.Put, want ...string) {
		t.Helper()
		s.apply(puts)
		if got := s.load(t).Proto(); !proto.Equal(got, r.Proto()) {
			t.Fatalf("stored %v\nknown %v", got, r.Proto())
		}
		var modes []string
		for _, m := range r.Machines() {
			modes = append(modes, m.GetId().GetHostname()+" "+m.GetMode().String())
		}
		if !slices.Equal(modes, want) {
			t.Fatalf("machines are %v, want %v", modes, want)
		}
	}
	a, b := window("a").MachineIds, window("B").MachineIds
	step(r.SetSchedule(&maintenancepb.Schedule{Windows: []*maintenancepb.Window{window("a", "B"), window("c")}}),
		"a DRAINING", "B DRAINING", "c DRAINING")
	step(r.SetSchedule(&maintenancepb.Schedule{Windows: []*maintenancepb.Window{window("a", "B")}}), "a DRAINING", "B DRAINING")
	step(r.StartMaintenance(b), "a DRAINING", "B DOWN")
	step(r.SetSchedule(&maintenancepb.Schedule{Windows: []*maintenancepb.Window{window("b"), window("a")}}), "a DRAINING", "b DOWN")
	if m := r.Machine("B", "10.0.0.1"); m.GetMode() != mesos.MachineInfo_DOWN || m.GetUnavailability() == nil {
		t.Errorf("B is %v", m)
	}
	step(r.StopMaintenance(b), "a DRAINING")
	if w := r.Schedules()[0].Windows; len(w) != 1 || w[0].MachineIds[0].GetHostname() != "a" {
		t.Errorf("scheduled is %v", w)
	}
	step(r.StartMaintenance(a), "a DOWN")
	step(r.StopMaintenance(a))
	if len(r.Schedules()) != 0 || len(s) != 0 {
		t.Errorf("left are %v, %v", r.Schedules(), s)
	}
}
