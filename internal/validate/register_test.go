package validate_test

import (
	"testing"

	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/validate"
)

func TestRegisterAgent(t *testing.T) {
	bad := `{"name":"x","type":"SET"}`
	for _, test := range []struct{ message, want string }{
		{`{"slave":{"hostname":"h"}}`, ""},
		{`{"slave":{"hostname":"h","id":{"value":"a/b"}}}`, "'a/b' contains invalid characters"},
		{`{"slave":{"hostname":"h","resources":[` + bad + `]}}`, "Resource 'x:{}' is invalid: Invalid set resource"},
		{
			`{"slave":{"hostname":"h"},"checkpointed_resources":[` + cpu(byOps) + `]}`,
			"Checkpointed resources provided when checkpointing is not enabled",
		},
		{`{"slave":{"hostname":"h","checkpoint":true},"checkpointed_resources":[` + cpu(byOps) + `]}`, ""},
		{`{"slave":{"hostname":"h","checkpoint":true},"checkpointed_resources":[` + bad + `]}`, "Invalid set resource"},
	} {
		m := read(t, test.message, &messages.RegisterSlaveMessage{})
		refused(t, validate.RegisterAgent(m), test.want)
	}
}

func TestReregisterAgent(t *testing.T) {
	const (
		framework = `{"id":{"value":"F"},"user":"u","name":"n"}`
		executor  = `{"framework_id":{"value":"F"},"executor_id":{"value":"e"},"command":{}}`
	)
	of := func(frameworks, executors, tasks string) string {
		return `{"slave":{"id":{"value":"S0"},"hostname":"h"},"frameworks":[` + frameworks +
			`],"executor_infos":[` + executors + `],"tasks":[` + tasks + `]}`
	}
	task := func(fields string) string { return of(framework, executor, `{"task_id":{"value":"t"},`+fields+`}`) }
	own := `"agent_id":{"value":"S0"},"framework_id":{"value":"F"}`
	for _, test := range []struct{ message, want string }{
		{of("", "", ""), ""},
		{of(framework, executor, ""), ""},
		{`{"slave":{"id":{"value":".."}}}`, "'..' is disallowed"},
		{`{"slave":{"id":{"value":"a"}},"checkpointed_resources":[{"name":"x","type":"SET"}]}`, "Invalid set resource"},
		{of(`{"role":"/a"}`, "", ""), "'FrameworkInfo.role' is not a valid role: Role '/a' cannot start with a slash"},
		{of(framework+","+framework, "", ""), "Framework has a duplicate FrameworkID: 'F'"},
		{of("", executor, ""), "Executor has an invalid FrameworkID 'F'"},
		{of(framework, executor+","+executor, ""), "Framework 'F' has a duplicate ExecutorID 'e'"},
		{of(framework, `{"executor_id":{"value":""}}`, ""), "ID must not be empty"},
		{
			of(framework, `{"executor_id":{"value":"e"},"resources":[{"name":"x","type":"SET"}]}`, ""),
			"Resource 'x:{}' is invalid: Invalid set resource",
		},
		{task(own), ""},
		{of("", "", `{"task_id":{"value":""}}`), "Task has an invalid TaskID: ID must not be empty"},
		{task(`"agent_id":{"value":"S1"}`), "Task has an invalid SlaveID 'S1'"},
		{task(`"agent_id":{"value":"S0"},"framework_id":{"value":"G"}`), "Task has an invalid FrameworkID 'G'"},
		{task(own + `,"state":"TASK_RUNNING","executor_id":{"value":"f"}`), "Task has an invalid ExecutorID 'f'"},
		{task(own + `,"state":"TASK_FINISHED","executor_id":{"value":"f"}`), ""},
		{
			task(own + `,"resources":[{"name":"x","type":"SET"}]`),
			"Task uses invalid resources: Resource 'x:{}' is invalid: Invalid set resource",
		},
	} {
		m := read(t, test.message, &messages.ReregisterSlaveMessage{})
		refused(t, validate.ReregisterAgent(m), test.want)
	}
}
