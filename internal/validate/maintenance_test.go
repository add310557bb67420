package validate_test

import (
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	maintenancepb "github.com/meseta-project/meseta/api/mesos/v1/maintenance"
	resourceproviderpb "github.com/meseta-project/meseta/api/mesos/v1/resource_provider"
	"github.com/meseta-project/meseta/internal/validate"
)

func TestMaintenanceSchedule(t *testing.T) {
	down := []*mesos.MachineID{{Hostname: new("Down")}}
	window := func(machines string) string {
		return `{"windows":[{"machine_ids":[{"hostname":"down"}` + machines + `],
			"unavailability":{"start":{"nanoseconds":0},"duration":{"nanoseconds":1}}}]}`
	}
	for _, test := range []struct{ schedule, want string }{
		{window(""), ""},
		{window(`,{"hostname":"h"},{"hostname":"h","ip":"10.0.0.1"}`), ""},
		{`{}`, `Machine '{"hostname":"Down"}' is deactivated and cannot be removed from the schedule`},
		{`{"windows":[{}]}`, "List of machines in the maintenance window is empty"},
		{
			`{"windows":[{"machine_ids":[{"hostname":"h"}],"unavailability":{"duration":{"nanoseconds":-1}}}]}`,
			"Unavailability 'duration' is negative",
		},
		{window(`,{}`), "Both 'hostname' and 'ip' for a machine are empty"},
		{window(`,{"ip":"::1"}`), "Failed to parse IPv4: ::1"},
		{window(`,{"ip":"10.0.0"}`), "Failed to parse IPv4: 10.0.0"},
		{
			window(`,{"hostname":"a","ip":"10.0.0.1"},{"hostname":"A","ip":"10.0.0.1"}`),
			`Machine '{"hostname":"A","ip":"10.0.0.1"}' appears more than once in the schedule`,
		},
	} {
		refused(t, validate.MaintenanceSchedule(read(t, test.schedule, &maintenancepb.Schedule{}), down), test.want)
	}
	refused(t, validate.Machines(nil), "List of machines is empty")
	refused(t, validate.Machines(down), "")
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
