package validate_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	agentpb "github.com/meseta-project/meseta/api/mesos/v1/agent"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/validate"
)

// read reads a message, which need not have its required fields.
func read[M proto.Message](t testing.TB, text string, m M) M {
	t.Helper()
	if err := (protojson.UnmarshalOptions{AllowPartial: true}).Unmarshal([]byte(text), m); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return m
}

// uuid is one of version 4; zeros is as long, and none.
const (
	uuid  = `"AAAAAAAAQACAAAAAAAAAAA=="`
	zeros = `"AAAAAAAAAAAAAAAAAAAAAA=="`
)

func TestSchedulerCall(t *testing.T) {
	of := func(call string) string { return `{"framework_id":{"value":"F"},` + call + `}` }
	for _, test := range []struct{ call, want string }{
		{`{}`, "Expecting 'type' to be present"},
		{`{"type":"SUBSCRIBE"}`, "Expecting 'subscribe' to be present"},
		{`{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"u","name":"n"}}}`, ""},
		{
			of(`"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"u","name":"n"}}`),
			"'framework_id' differs from 'subscribe.framework_info.id'",
		},
		{of(`"type":"SUBSCRIBE","subscribe":{"framework_info":{"id":{"value":"F"},"user":"u","name":"n"}}`), ""},
		{`{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"u","name":"n","principal":"ops"}}}`, ""},
		{
			`{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"u","name":"n","principal":"eve"}}}`,
			"Authenticated principal 'ops' does not match principal 'eve' set in `FrameworkInfo`",
		},
		{`{"type":"TEARDOWN"}`, "Expecting 'framework_id' to be present"},
		{of(`"type":"TEARDOWN"`), ""},
		{of(`"type":"ACCEPT"`), "Expecting 'accept' to be present"},
		{of(`"type":"DECLINE"`), "Expecting 'decline' to be present"},
		{of(`"type":"ACCEPT_INVERSE_OFFERS"`), "Expecting 'accept_inverse_offers' to be present"},
		{of(`"type":"DECLINE_INVERSE_OFFERS"`), "Expecting 'decline_inverse_offers' to be present"},
		{of(`"type":"REVIVE"`), ""},
		{of(`"type":"SUPPRESS"`), ""},
		{of(`"type":"KILL"`), "Expecting 'kill' to be present"},
		{of(`"type":"SHUTDOWN"`), "Expecting 'shutdown' to be present"},
		{of(`"type":"ACKNOWLEDGE"`), "Expecting 'acknowledge' to be present"},
		{of(`"type":"ACKNOWLEDGE","acknowledge":{"uuid":"AAAA"}`), "Not a valid UUID"},
		{of(`"type":"ACKNOWLEDGE","acknowledge":{"uuid":` + zeros + `}`), "Not a valid UUID"},
		{of(`"type":"ACKNOWLEDGE","acknowledge":{"uuid":` + uuid + `}`), ""},
		{of(`"type":"ACKNOWLEDGE_OPERATION_STATUS"`), "Expecting 'acknowledge_operation_status' to be present"},
		{of(`"type":"ACKNOWLEDGE_OPERATION_STATUS","acknowledge_operation_status":{}`), "Not a valid UUID"},
		{
			of(`"type":"ACKNOWLEDGE_OPERATION_STATUS","acknowledge_operation_status":{"uuid":` + uuid + `}`),
			"Expecting 'agent_id' to be present",
		},
		{of(`"type":"RECONCILE"`), "Expecting 'reconcile' to be present"},
		{of(`"type":"RECONCILE_OPERATIONS"`), "Expecting 'reconcile_operations' to be present"},
		{of(`"type":"MESSAGE"`), "Expecting 'message' to be present"},
		{of(`"type":"REQUEST"`), "Expecting 'request' to be present"},
		{of(`"type":"UPDATE_FRAMEWORK"`), "Expecting 'update_framework' to be present"},
		{
			of(`"type":"UPDATE_FRAMEWORK","update_framework":{"framework_info":{"id":{"value":"G"}}}`),
			"'framework_id' differs from 'update_framework.framework_info.id'",
		},
		{of(`"type":"UNKNOWN"`), ""},
	} {
		t.Run(test.call, func(t *testing.T) {
			refused(t, validate.SchedulerCall(read(t, test.call, &schedulerpb.Call{}), "ops"), test.want)
		})
	}
}

func TestExecutorCall(t *testing.T) {
	of := func(call string) string {
		return `{"framework_id":{"value":"F"},"executor_id":{"value":"e"},` + call + `}`
	}
	status := func(fields string) string {
		return of(`"type":"UPDATE","update":{"status":{"task_id":{"value":"t"},` + fields + `}}`)
	}
	for _, test := range []struct{ call, want string }{
		{`{}`, "Expecting 'type' to be present"},
		{`{"type":"SUBSCRIBE"}`, "Expecting 'executor_id' to be present"},
		{`{"type":"SUBSCRIBE","executor_id":{"value":"e"}}`, "Expecting 'framework_id' to be present"},
		{of(`"type":"SUBSCRIBE"`), "Expecting 'subscribe' to be present"},
		{of(`"type":"SUBSCRIBE","subscribe":{}`), ""},
		{of(`"type":"MESSAGE"`), "Expecting 'message' to be present"},
		{of(`"type":"HEARTBEAT"`), ""},
		{of(`"type":"UPDATE"`), "Expecting 'update' to be present"},
		{status(`"state":"TASK_RUNNING"`), "Expecting 'uuid' to be present"},
		{status(`"uuid":"AAAA"`), "Not a valid UUID"},
		{
			status(`"executor_id":{"value":"f"},"uuid":` + uuid),
			"ExecutorID in Call: e does not match ExecutorID in TaskStatus: f",
		},
		{status(`"uuid":` + uuid), "Received Call from executor e of framework F with invalid source," +
			" expecting 'SOURCE_EXECUTOR'"},
		{
			status(`"source":"SOURCE_EXECUTOR","state":"TASK_STAGING","uuid":` + uuid),
			"Received TASK_STAGING from executor e of framework F which is not allowed",
		},
		{status(`"source":"SOURCE_EXECUTOR","state":"TASK_RUNNING","uuid":` + uuid), ""},
		{
			status(`"source":"SOURCE_EXECUTOR","state":"TASK_RUNNING","check_status":{},"uuid":` + uuid),
			"CheckStatusInfo must specify 'type'",
		},
		{
			status(`"source":"SOURCE_EXECUTOR","state":"TASK_RUNNING","check_status":{"type":"TCP"},"uuid":` + uuid),
			"Expecting 'tcp' to be set for TCP check's status",
		},
		{
			status(`"source":"SOURCE_EXECUTOR","state":"TASK_RUNNING","check_status":{"type":"HTTP"},"uuid":` + uuid),
			"Expecting 'http' to be set for HTTP check's status",
		},
		{
			status(`"source":"SOURCE_EXECUTOR","state":"TASK_RUNNING","check_status":{"type":"COMMAND"},"uuid":` + uuid),
			"Expecting 'command' to be set for COMMAND check's status",
		},
		{
			status(`"source":"SOURCE_EXECUTOR","state":"TASK_RUNNING","check_status":{"type":"UNKNOWN"},"uuid":` + uuid),
			"'UNKNOWN' is not a valid check's status type",
		},
	} {
		t.Run(test.call, func(t *testing.T) {
			refused(t, validate.ExecutorCall(read(t, test.call, &executorpb.Call{})), test.want)
		})
	}
}

const ofAgent = "Expecting 'agent_id' to be present; only agent default resources are supported right now"

func TestMasterCall(t *testing.T) {
	refused(t, validate.MasterCall(&masterpb.Call{}), "Expecting 'type' to be present")
	for _, field := range []string{
		"get_metrics", "set_logging_level", "list_files", "read_file", "update_weights", "reserve_resources",
		"unreserve_resources", "create_volumes", "destroy_volumes", "grow_volume", "shrink_volume",
		"update_maintenance_schedule", "start_maintenance", "stop_maintenance", "drain_agent", "deactivate_agent",
		"reactivate_agent", "update_quota", "set_quota", "remove_quota", "teardown", "mark_agent_gone",
	} {
		call := `{"type":"` + strings.ToUpper(field) + `"}`
		refused(t, validate.MasterCall(read(t, call, &masterpb.Call{})), "Expecting '"+field+"' to be present")
	}
	for _, typ := range []string{
		"UNKNOWN", "GET_HEALTH", "GET_FLAGS", "GET_VERSION", "GET_LOGGING_LEVEL", "GET_STATE", "GET_AGENTS",
		"GET_FRAMEWORKS", "GET_EXECUTORS", "GET_OPERATIONS", "GET_TASKS", "GET_ROLES", "GET_WEIGHTS", "GET_MASTER",
		"SUBSCRIBE", "GET_MAINTENANCE_STATUS", "GET_MAINTENANCE_SCHEDULE", "GET_QUOTA",
	} {
		refused(t, validate.MasterCall(read(t, `{"type":"`+typ+`"}`, &masterpb.Call{})), "")
	}
	bad := `{"agent_id":{"value":"a"},"resources":[{"name":"x","type":"SET"}]}`
	for _, test := range []struct{ call, want string }{
		{
			`{"type":"RESERVE_RESOURCES","reserve_resources":` + bad + `}`,
			"Resource 'x:{}' is invalid: Invalid set resource",
		},
		{
			`{"type":"UNRESERVE_RESOURCES","unreserve_resources":` + bad + `}`,
			"Resource 'x:{}' is invalid: Invalid set resource",
		},
		{`{"type":"GROW_VOLUME","grow_volume":{}}`, ofAgent},
		{`{"type":"SHRINK_VOLUME","shrink_volume":{}}`, ofAgent},
		{`{"type":"GROW_VOLUME","grow_volume":{"agent_id":{"value":"a"}}}`, ""},
	} {
		refused(t, validate.MasterCall(read(t, test.call, &masterpb.Call{})), test.want)
	}
}

func TestAgentCall(t *testing.T) {
	const (
		id      = `"container_id":{"value":"c","parent":{"value":"p"}}`
		deep    = `"container_id":{"value":"c","parent":{"value":"p","parent":{"value":"q"}}}`
		top     = `"container_id":{"value":"c"}`
		share   = `"container":{"type":"MESOS","linux_info":{"share_cgroups":true}}`
		noShare = `"container":{"type":"MESOS","linux_info":{"share_cgroups":false}}`
		badEnv  = `"command":{"environment":{"variables":[{"name":"A","type":"UNKNOWN"}]}}`
		docker  = `"container":{"type":"DOCKER"}`
		second  = "'launch_container' is invalid: containers nested at the second level or greater cannot "
	)
	of := func(typ, fields string) string {
		return `{"type":"` + strings.ToUpper(typ) + `","` + typ + `":{` + fields + `}}`
	}
	const (
		launchNested = "launch_nested_container"
		session      = "launch_nested_container_session"
		launch       = "launch_container"
		input        = "attach_container_input"
	)
	for _, test := range []struct{ call, want string }{
		{`{}`, "Expecting 'type' to be present"},
		{`{"type":"GET_CONTAINERS"}`, ""},
		{`{"type":"PRUNE_IMAGES"}`, ""},
		{of(launchNested, id), ""},
		{of(launchNested, top), "Expecting 'launch_nested_container.container_id.parent' to be present"},
		{
			of(launchNested, `"container_id":{"value":"a.b","parent":{"value":"p"}}`),
			"'launch_nested_container.container_id' is invalid: 'ContainerID.value' 'a.b' contains invalid characters",
		},
		{
			of(launchNested, `"container_id":{"value":"c","parent":{"value":"a b"}}`),
			"'launch_nested_container.container_id' is invalid: 'ContainerID.parent' is invalid:" +
				" 'ContainerID.value' 'a b' contains invalid characters",
		},
		{
			of(launchNested, `"container_id":{"value":"`+strings.Repeat("x", 243)+`","parent":{"value":"p"}}`),
			"'launch_nested_container.container_id' is invalid: 'ContainerID.value' '" + strings.Repeat("x", 243) +
				"' exceeds the maximum length (242)",
		},
		{
			of(launchNested, id+","+badEnv),
			"'launch_nested_container.command' is invalid: Environment variable of type 'UNKNOWN' is not allowed",
		},
		{
			of(launchNested, id+","+docker),
			"'launch_nested_container.container' is invalid: DockerInfo 'docker' is not set for DOCKER typed ContainerInfo",
		},
		{of(launchNested, id+","+noShare), ""},
		{of(launchNested, deep+","+noShare), "'launch_nested_container' is invalid: containers nested at the second" +
			" level or greater cannot set 'share_cgroups' to 'false'"},
		{of("wait_nested_container", top), "Expecting 'wait_nested_container.container_id.parent' to be present"},
		{of("kill_nested_container", top), "Expecting 'kill_nested_container.container_id.parent' to be present"},
		{of("remove_nested_container", top), "Expecting 'remove_nested_container.container_id.parent' to be present"},
		{of("remove_nested_container", id), ""},
		{of(session, top), "Expecting 'launch_nested_container_session.container_id.parent' to be present"},
		{of(session, id+","+noShare), "'launch_nested_container_session.container.linux_info' is invalid:" +
			" 'share_cgroups' cannot be set to 'false' for nested container sessions"},
		{of(session, id), ""},
		{of(input, ""), "Expecting 'attach_container_input.type' to be present"},
		{of(input, `"type":"UNKNOWN"`), "'attach_container_input.type' is unknown"},
		{
			of(input, `"type":"CONTAINER_ID","container_id":{"value":""}`),
			"'attach_container_input.container_id' is invalid: ID must not be empty",
		},
		{of(input, `"type":"PROCESS_IO"`), ""},
		{
			of("attach_container_output", `"container_id":{"value":"/"}`),
			"'attach_container_output.container_id' is invalid: '/' contains invalid characters",
		},
		{
			of("wait_container", `"container_id":{"value":""}`),
			"'wait_container.container_id' is invalid: ID must not be empty",
		},
		{
			of("kill_container", `"container_id":{"value":""}`),
			"'kill_container.container_id' is invalid: ID must not be empty",
		},
		{
			of("remove_container", `"container_id":{"value":""}`),
			"'remove_container.container_id' is invalid: ID must not be empty",
		},
		{of(launch, top), ""},
		{of(launch, `"container_id":{"value":".."}`), "'launch_container.container_id' is invalid: '..' is disallowed"},
		{
			of(launch, top+`,"resources":[{"name":"x","type":"SET"}]`),
			"Invalid resources: Resource 'x:{}' is invalid: Invalid set resource",
		},
		{
			of(launch, top+`,"resources":[{"name":"gpus","type":"SCALAR","scalar":{"value":1.5}}]`),
			"Invalid GPU resources: The 'gpus' resource must be an unsigned integer",
		},
		{
			of(launch, top+`,"resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":1},"role":"eng"}]`),
			"'launch_container.resources' must be unreserved",
		},
		{of(launch, top+`,"resources":[{"name":"disk","type":"SCALAR","scalar":{"value":1},
			"disk":{"persistence":{"id":"v"}}}]`), "'launch_container.resources' may not use persistent volumes"},
		{
			of(launch, top+`,"resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":1},"revocable":{}}]`),
			"'launch_container.resources' must be non-revocable",
		},
		{of(launch, id+`,"resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":1},"role":"eng"}]`), ""},
		{
			of(launch, top+","+badEnv),
			"'launch_container.command' is invalid: Environment variable of type 'UNKNOWN' is not allowed",
		},
		{of(launch, deep+`,"resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":1}}]`), second + "specify resources"},
		{of(launch, deep+`,"limits":{"cpus":{"value":1}}`), second + "specify resource limits"},
		{of(launch, deep+","+noShare), second + "set 'share_cgroups' to 'false'"},
		{
			of(launch, top+","+share),
			"'launch_container' is invalid: containers without a parent cannot set 'share_cgroups' to 'true'",
		},
		{
			of("add_resource_provider_config", `"info":{"id":{"value":"i"},"type":"t","name":"n"}`),
			"Expecting 'add_resource_provider_config.info.id' to be unset",
		},
		{
			of("update_resource_provider_config", `"info":{"id":{"value":"i"},"type":"t","name":"n"}`),
			"Expecting 'update_resource_provider_config.info.id' to be unset",
		},
	} {
		t.Run(test.call, func(t *testing.T) {
			refused(t, validate.AgentCall(read(t, test.call, &agentpb.Call{})), test.want)
		})
	}
	for _, field := range []string{
		"get_metrics", "set_logging_level", "list_files", "read_file", launchNested, "wait_nested_container",
		"kill_nested_container", "remove_nested_container", session, input, "attach_container_output", launch,
		"wait_container", "kill_container", "remove_container", "add_resource_provider_config",
		"update_resource_provider_config", "remove_resource_provider_config", "mark_resource_provider_gone",
	} {
		call := `{"type":"` + strings.ToUpper(field) + `"}`
		refused(t, validate.AgentCall(read(t, call, &agentpb.Call{})), "Expecting '"+field+"' to be present")
	}
}
