package validate_test

import (
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	maintenancepb "github.com/meseta-project/meseta/api/mesos/v1/maintenance"
	resourceproviderpb "github.com/meseta-project/meseta/api/mesos/v1/resource_provider"
	"github.com/meseta-project/meseta/internal/validate"
)

func TestMaintenance(t *testing.T) {
	refused(t, validate.MaintenanceWindow(read(t, `{}`, &maintenancepb.Window{})), "List of machines in the maintenance window is empty")
	refused(t, validate.MaintenanceWindow(read(t, `{"machine_ids":[{"hostname":"h"}],"unavailability":{"duration":{"nanoseconds":-1}}}`,
		&maintenancepb.Window{})), "Unavailability 'duration' is negative")
	refused(t, validate.MaintenanceWindow(read(t, `{"machine_ids":[{"hostname":"h"}]}`, &maintenancepb.Window{})), "")
	machines := validate.Machines{}
	for _, test := range []struct{ id, want string }{
		{`{"hostname":"h"}`, ""},
		{`{"hostname":"h","ip":"10.0.0.1"}`, ""},
		{`{}`, "Both 'hostname' and 'ip' for a machine are empty"},
		{`{"ip":"::1"}`, "Failed to parse IPv4: ::1"},
		{`{"ip":"10.0.0"}`, "Failed to parse IPv4: 10.0.0"},
		{`{"hostname":"H","ip":"10.0.0.1"}`, `Machine '{"hostname":"H","ip":"10.0.0.1"}' appears more than once in the schedule`},
	} {
		refused(t, machines.Add(read(t, test.id, &mesos.MachineID{})), test.want)
	}
	if !machines.Has(&mesos.MachineID{Hostname: new("H")}) || machines.Has(&mesos.MachineID{Hostname: new("g")}) {
		t.Error("it is not known which machines there are")
	}
}

func TestProviderCall(t *testing.T) {
	of := func(typ, more string) string {
		return `{"type":"` + typ + `","resource_provider_id":{"value":"p"}` + more + `}`
	}
	for _, test := range []struct{ call, want string }{
		{`{}`, "Expecting 'type' to be present"},
		{`{"type":"SUBSCRIBE"}`, "Expecting 'subscribe' to be present"},
		{`{"type":"UPDATE_STATE"}`, "Expecting 'resource_provider_id' to be present"},
		{of("UPDATE_STATE", ""), "Expecting 'update_state' to be present"},
		{of("UPDATE_STATE", `,"update_state":{"resources":[`+cpu(`,"provider_id":{"value":"p"}`)+`]}`), ""},
		{
			of("UPDATE_STATE", `,"update_state":{"resources":[`+cpu("")+`]}`),
			"Inconsistent resource provider ID in 'update_state'",
		},
		{of("UPDATE_OPERATION_STATUS", ""), "Expecting 'update_operation_status' to be present"},
		{
			of("UPDATE_OPERATION_STATUS", `,"update_operation_status":{"status":{"resource_provider_id":{"value":"q"}}}`),
			"Inconsistent resource provider ID in 'update_operation_status'",
		},
		{of("UPDATE_PUBLISH_RESOURCES_STATUS", ""), "Expecting 'update_publish_resources_status' to be present"},
		{of("UNKNOWN", ""), ""},
	} {
		refused(t, validate.ProviderCall(read(t, test.call, &resourceproviderpb.Call{}), "p"), test.want)
	}
}
