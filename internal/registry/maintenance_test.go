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
	step := func(changes []registry.Change, want ...string) {
		t.Helper()
		s.apply(changes)
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
	schedule := func(windows ...*maintenancepb.Window) (changes []registry.Change) {
		changes = append(changes, r.SetSchedule(&maintenancepb.Schedule{Windows: windows}))
		for _, w := range windows {
			for _, id := range w.MachineIds {
				changes = append(changes, r.Drain(id, w.Unavailability))
			}
		}
		return changes
	}
	one := func(change registry.Change) []registry.Change { return []registry.Change{change} }
	a, b, c := window("a").MachineIds[0], window("B").MachineIds[0], window("c").MachineIds[0]
	step(schedule(window("a", "B"), window("c")), "a DRAINING", "B DRAINING", "c DRAINING")
	step(append(schedule(window("a", "B")), r.BringUp(c)), "a DRAINING", "B DRAINING")
	frozen := r.MachineRows()
	step(one(r.TakeDown(b)), "a DRAINING", "B DOWN")
	step(schedule(window("b"), window("a")), "a DRAINING", "b DOWN")
	if m := r.Machine("B", "10.0.0.1"); m.GetMode() != mesos.MachineInfo_DOWN || m.GetUnavailability() == nil {
		t.Errorf("B is %v", m)
	}
	step(append(schedule(window("a")), r.BringUp(b)), "a DRAINING")
	step(one(r.TakeDown(a)), "a DOWN")
	step(append(schedule(), r.BringUp(a)))
	if len(r.Schedules()) != 0 || len(s) != 0 {
		t.Errorf("left are %v, %v", r.Schedules(), s)
	}
	for _, info := range registry.InOrder(frozen.All()) {
		if info.GetMode() != mesos.MachineInfo_DRAINING || frozen.Len() != 2 {
			t.Errorf("what was frozen has changed: %v", info)
		}
	}
}
