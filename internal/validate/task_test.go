package validate_test

import (
	"iter"
	"math"
	"strings"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/validate"
	"github.com/meseta-project/meseta/resources"
)

// allocated returns what text describes as offered in the role eng.
func allocated(text string) []*mesos.Resource {
	return resources.MustParse(text).AllocatedTo("eng").Proto()
}

func goodTask() *mesos.TaskInfo {
	return &mesos.TaskInfo{
		Name:      new("task"),
		TaskId:    &mesos.TaskID{Value: new("t")},
		AgentId:   &mesos.AgentID{Value: new("S0")},
		Resources: allocated("cpus:1;mem:32"),
		Command:   &mesos.CommandInfo{Value: new("true")},
	}
}

func goodExecutor() *mesos.ExecutorInfo {
	return &mesos.ExecutorInfo{
		ExecutorId:  &mesos.ExecutorID{Value: new("e")},
		FrameworkId: &mesos.FrameworkID{Value: new("F")},
		Command:     &mesos.CommandInfo{Value: new("true")},
		Resources:   allocated("cpus:0.1;mem:32;disk:1"),
	}
}

// framework has the active task "old" and the unreachable task "lost".
func framework() *validate.Framework {
	return &validate.Framework{
		ID:    "F",
		Roles: []string{"eng"},
		Task: func(id ids.TaskID) validate.TaskPresence {
			switch id {
			case "old":
				return validate.ActiveTask
			case "lost":
				return validate.UnreachableTask
			}
			return validate.NoTask
		},
	}
}

// agent has the executor "there", with a task that shares its control groups.
func agent() *validate.Agent {
	there := goodExecutor()
	there.ExecutorId.Value = new("there")
	return &validate.Agent{
		ID: "S0",
		Capabilities: validate.Capabilities{
			HierarchicalRole: true, ReservationRefinement: true, ResizeVolume: true, TaskResourceLimits: true,
		},
		Executor: func(id ids.ExecutorID) *mesos.ExecutorInfo {
			if id == "there" {
				return there
			}
			return nil
		},
		Containers: func(ids.ExecutorID) iter.Seq[*mesos.ContainerInfo] {
			return func(yield func(*mesos.ContainerInfo) bool) { yield(nil) }
		},
		Used: func(func(resources.Resources) bool) {},
	}
}

func offered() resources.Resources {
	return resources.MustParse("cpus:4;mem:1024;disk:100;gpus:2;ports:[1-100]").AllocatedTo("eng")
}

// refused fails the test unless err is a refusal that says want, or nil if want
// is "".
func refused(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err == nil:
	case err == nil:
		t.Errorf("not refused, want %q", want)
	case err.Error() != want:
		t.Errorf("refused with %q, want %q", err, want)
	case refusal.ReasonOf(err) != refusal.Invalid:
		t.Errorf("%v is not a refusal.Invalid", err)
	}
}

func scalar(v float64) *mesos.Value_Scalar { return &mesos.Value_Scalar{Value: &v} }

func ownCgroups(share bool) *mesos.ContainerInfo {
	return &mesos.ContainerInfo{
		Type:      mesos.ContainerInfo_MESOS.Enum(),
		LinuxInfo: &mesos.LinuxInfo{ShareCgroups: &share},
	}
}

const revocableCPUs = `[{"name":"cpus","type":"SCALAR","scalar":{"value":1},"revocable":{}},
	{"name":"cpus","type":"SCALAR","scalar":{"value":1}}]`

func reservedDisk(more string) string {
	return `[{"name":"disk","type":"SCALAR","scalar":{"value":64},
		"reservations":[{"type":"DYNAMIC","role":"eng","principal":"ops"}]` + more + `}]`
}

func volume(id string) string {
	return reservedDisk(`,"disk":{"persistence":{"id":"` + id + `","principal":"ops"},
		"volume":{"container_path":"data","mode":"RW"}}`)
}

func TestTask(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*mesos.TaskInfo)
		want   string
	}{
		{"good", func(*mesos.TaskInfo) {}, ""},
		{"no ID", func(t *mesos.TaskInfo) { t.TaskId.Value = new("") }, "ID must not be empty"},
		{"ID of a path", func(t *mesos.TaskInfo) { t.TaskId.Value = new("a/b") }, "'a/b' contains invalid characters"},
		{"ID of a parent", func(t *mesos.TaskInfo) { t.TaskId.Value = new("..") }, "'..' is disallowed"},
		{
			"long ID", func(t *mesos.TaskInfo) { t.TaskId.Value = new(strings.Repeat("x", 256)) },
			"ID must not be greater than 255 characters",
		},
		{"active ID", func(t *mesos.TaskInfo) { t.TaskId.Value = new("old") }, "Task has duplicate ID: old"},
		{
			"unreachable ID", func(t *mesos.TaskInfo) { t.TaskId.Value = new("lost") },
			"Task reuses the ID of an unreachable task: lost",
		},
		{
			"other agent", func(t *mesos.TaskInfo) { t.AgentId.Value = new("S1") },
			"Task uses invalid agent S1 while agent S0 is expected",
		},
		{"negative grace period", func(t *mesos.TaskInfo) {
			t.KillPolicy = &mesos.KillPolicy{GracePeriod: &mesos.DurationInfo{Nanoseconds: new(int64(-1))}}
		}, "Task's 'kill_policy.grace_period' must be non-negative"},
		{"negative completion time", func(t *mesos.TaskInfo) {
			t.MaxCompletionTime = &mesos.DurationInfo{Nanoseconds: new(int64(-1))}
		}, "Task's `max_completion_time` must be non-negative"},
		{
			"bad check", func(t *mesos.TaskInfo) { t.Check = &mesos.CheckInfo{} },
			"Task uses invalid check: CheckInfo must specify 'type'",
		},
		{
			"bad health check", func(t *mesos.TaskInfo) { t.HealthCheck = &mesos.HealthCheck{} },
			"Task uses invalid health check: HealthCheck must specify 'type'",
		},
		{"no resources", func(t *mesos.TaskInfo) { t.Resources = nil }, "Task uses no resources"},
		{
			"bad resources", func(t *mesos.TaskInfo) { t.Resources[0].Scalar = scalar(-1) },
			"Task uses invalid resources: Invalid resources: Resource 'cpus(allocated: eng):-1' is invalid:" +
				" Invalid scalar resource: value <= 0",
		},
		{
			"half a GPU", func(t *mesos.TaskInfo) { t.Resources = allocated("gpus:0.5") },
			"Task uses invalid resources: Invalid 'gpus' resource: The 'gpus' resource must be an unsigned integer",
		},
		{
			"empty disk", func(t *mesos.TaskInfo) { t.Resources = allocated(reservedDisk(`,"disk":{}`)) },
			"Task uses invalid resources: Invalid DiskInfo: DiskInfo is set but empty",
		},
		{"volume without persistence", func(t *mesos.TaskInfo) {
			t.Resources = allocated(reservedDisk(`,"disk":{"volume":{"container_path":"d","mode":"RW"}}`))
		}, "Task uses invalid resources: Invalid DiskInfo: Non-persistent volume not supported"},
		{"persistence without volume", func(t *mesos.TaskInfo) {
			t.Resources = allocated(reservedDisk(`,"disk":{"persistence":{"id":"v"}}`))
		}, "Task uses invalid resources: Invalid DiskInfo: Expecting 'volume' to be set for persistent volume"},
		{"host path", func(t *mesos.TaskInfo) {
			t.Resources = allocated(reservedDisk(`,"disk":{"persistence":{"id":"v"},
				"volume":{"container_path":"d","host_path":"/","mode":"RW"}}`))
		}, "Task uses invalid resources: Invalid DiskInfo: Expecting 'host_path' to be unset for persistent volume"},
		{
			"persistence ID", func(t *mesos.TaskInfo) { t.Resources = allocated(volume("a/b")) },
			"Task uses invalid resources: Invalid DiskInfo: Invalid persistence ID for persistent volume:" +
				" 'a/b' contains invalid characters",
		},
		{
			"revocable reservation", func(t *mesos.TaskInfo) { t.Resources = allocated(reservedDisk(`,"revocable":{}`)) },
			"Task uses invalid resources: Invalid ReservationInfo: Dynamically reserved resource" +
				" disk(allocated: eng)(reservations: [(DYNAMIC,eng,ops)]){REV}:64" +
				" cannot be created from revocable resources",
		},
		{"volume twice", func(t *mesos.TaskInfo) {
			t.Resources = append(allocated(volume("v")), allocated(volume("v"))...)
		}, "Task uses duplicate persistence ID: Persistence ID 'v' is not unique"},
		{
			"unallocated", func(t *mesos.TaskInfo) { t.Resources[0].AllocationInfo = nil },
			"Invalid task resources: The resources are not allocated to a role",
		},
		{"two roles", func(t *mesos.TaskInfo) {
			t.Resources[0].AllocationInfo = &mesos.Resource_AllocationInfo{Role: new("ops")}
		}, "Invalid task resources: The resources have multiple allocation roles ('ops' and 'eng')" +
			" but only one allocation role is allowed"},
		{
			"revocable and not", func(t *mesos.TaskInfo) { t.Resources = allocated(revocableCPUs) },
			"Task mixes revocable and non-revocable resources: Cannot use both revocable and" +
				" non-revocable 'cpus' at the same time",
		},
		{"bad command", func(t *mesos.TaskInfo) {
			t.Command.Environment = &mesos.Environment{Variables: []*mesos.Environment_Variable{{Name: new("A")}}}
		}, "Task's `CommandInfo` is invalid: Environment variable 'A' of type 'VALUE' must have a value set"},
		{"bad container", func(t *mesos.TaskInfo) {
			t.Container = &mesos.ContainerInfo{Type: mesos.ContainerInfo_DOCKER.Enum()}
		}, "Task's `ContainerInfo` is invalid: DockerInfo 'docker' is not set for DOCKER typed ContainerInfo"},
		{"limit of disk", func(t *mesos.TaskInfo) {
			t.Limits = map[string]*mesos.Value_Scalar{"disk": scalar(1)}
		}, "Only cpus and mem may be included in a task's resource limits"},
		{"low CPU limit", func(t *mesos.TaskInfo) {
			t.Limits = map[string]*mesos.Value_Scalar{"cpus": scalar(0.5)}
		}, "The cpu limit must be greater than or equal to the cpu request"},
		{"low memory limit", func(t *mesos.TaskInfo) {
			t.Limits = map[string]*mesos.Value_Scalar{"mem": scalar(31)}
		}, "The memory limit must be greater than or equal to the memory request"},
		{"limit without request", func(t *mesos.TaskInfo) {
			t.Resources = allocated("cpus:1")
			t.Limits = map[string]*mesos.Value_Scalar{"mem": scalar(31)}
		}, "When a memory limit is specified, a memory request must also be specified"},
		{"no limit of memory", func(t *mesos.TaskInfo) {
			t.Limits = map[string]*mesos.Value_Scalar{"mem": scalar(math.Inf(1)), "cpus": scalar(1)}
		}, ""},
		{
			"command and executor", func(t *mesos.TaskInfo) { t.Executor = goodExecutor() },
			"Task should have at least one (but not both) of CommandInfo or ExecutorInfo present",
		},
		{
			"neither", func(t *mesos.TaskInfo) { t.Command = nil },
			"Task should have at least one (but not both) of CommandInfo or ExecutorInfo present",
		},
		{
			"too much", func(t *mesos.TaskInfo) { t.Resources = allocated("cpus:1000;mem:32") },
			"Total resources cpus(allocated: eng):1000; mem(allocated: eng):32 required by task and its" +
				" executor is more than available cpus(allocated: eng):4; gpus(allocated: eng):2;" +
				" mem(allocated: eng):1024; disk(allocated: eng):100; ports(allocated: eng):[1-100]",
		},
		{
			"own control groups", func(t *mesos.TaskInfo) { t.Container = ownCgroups(false) },
			"Only tasks in a task group may have 'share_cgroups' set to 'false'",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			task := goodTask()
			test.change(task)
			refused(t, validate.Task(task, framework(), agent(), offered()), test.want)
		})
	}
}

func TestTaskLimitsNeedTheAgent(t *testing.T) {
	task, a := goodTask(), agent()
	task.Limits = map[string]*mesos.Value_Scalar{"cpus": scalar(2)}
	a.Capabilities.TaskResourceLimits = false
	refused(t, validate.Task(task, framework(), a, offered()),
		"Agent is not capable of handling task resource limits")
}

func TestTaskWithExecutor(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*mesos.ExecutorInfo)
		want   string
	}{
		{"good", func(*mesos.ExecutorInfo) {}, ""},
		{"custom without command", func(e *mesos.ExecutorInfo) {
			e.Type, e.Command = mesos.ExecutorInfo_CUSTOM.Enum(), nil
		}, "'ExecutorInfo.command' must be set for 'CUSTOM' executor"},
		{
			"default with command", func(e *mesos.ExecutorInfo) { e.Type = mesos.ExecutorInfo_DEFAULT.Enum() },
			"'ExecutorInfo.command' must not be set for 'DEFAULT' executor",
		},
		{"default with Docker", func(e *mesos.ExecutorInfo) {
			e.Type, e.Command = mesos.ExecutorInfo_DEFAULT.Enum(), nil
			e.Container = &mesos.ContainerInfo{Type: mesos.ContainerInfo_DOCKER.Enum()}
		}, "'ExecutorInfo.container.type' must be 'MESOS' for 'DEFAULT' executor"},
		{"default with image", func(e *mesos.ExecutorInfo) {
			e.Type, e.Command = mesos.ExecutorInfo_DEFAULT.Enum(), nil
			e.Container = &mesos.ContainerInfo{
				Type:  mesos.ContainerInfo_MESOS.Enum(),
				Mesos: &mesos.ContainerInfo_MesosInfo{Image: &mesos.Image{}},
			}
		}, "'ExecutorInfo.container.mesos.image' must not be set for 'DEFAULT' executor"},
		{"ID", func(e *mesos.ExecutorInfo) { e.ExecutorId.Value = new("") }, "ID must not be empty"},
		{"grace period", func(e *mesos.ExecutorInfo) {
			e.ShutdownGracePeriod = &mesos.DurationInfo{Nanoseconds: new(int64(-1))}
		}, "ExecutorInfo's 'shutdown_grace_period' must be non-negative"},
		{
			"no framework", func(e *mesos.ExecutorInfo) { e.FrameworkId = nil },
			"'ExecutorInfo.framework_id' must be set",
		},
		{
			"other framework", func(e *mesos.ExecutorInfo) { e.FrameworkId.Value = new("G") },
			"ExecutorInfo has an invalid FrameworkID (Actual: G vs Expected: F)",
		},
		{
			"unallocated", func(e *mesos.ExecutorInfo) { e.Resources[0].AllocationInfo = nil },
			"Invalid executor resources: The resources are not allocated to a role",
		},
		{
			"revocable and not", func(e *mesos.ExecutorInfo) { e.Resources = allocated(revocableCPUs) },
			"Executor mixes revocable and non-revocable resources: Cannot use both revocable and" +
				" non-revocable 'cpus' at the same time",
		},
		{"default", func(e *mesos.ExecutorInfo) {
			e.Type, e.Command = mesos.ExecutorInfo_DEFAULT.Enum(), nil
		}, "'ExecutorInfo.type' must be 'CUSTOM'"},
		{"no command", func(e *mesos.ExecutorInfo) { e.Command = nil }, "'ExecutorInfo.command' must be set"},
		{"shared", func(e *mesos.ExecutorInfo) {
			e.Resources = allocated(strings.TrimSuffix(volume("v"), "}]") + `,"shared":{}}]`)
		}, "Executor resources disk(allocated: eng)(reservations: [(DYNAMIC,eng,ops)])[v:data]<SHARED>:64" +
			" should not contain any shared resources"},
		{
			"in a parent's control groups", func(e *mesos.ExecutorInfo) { e.Container = ownCgroups(true) },
			"The 'share_cgroups' field cannot be set to 'true' on executor containers",
		},
		{
			"ports of the task", func(e *mesos.ExecutorInfo) { e.Resources = allocated("ports:[5-6]") },
			"There are overlapping resources in the task resources cpus(allocated: eng):1; ports(allocated: eng):[6-7]" +
				" and executor resources ports(allocated: eng):[5-6]",
		},
		{
			"too much together", func(e *mesos.ExecutorInfo) { e.Resources = allocated("cpus:3.5") },
			"Total resources cpus(allocated: eng):4.5; ports(allocated: eng):[6-7] required by task and its executor" +
				" is more than available " + offered().String(),
		},
		{"the one there", func(e *mesos.ExecutorInfo) { e.ExecutorId.Value = new("there") }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			task := goodTask()
			task.Resources = allocated("cpus:1;ports:[6-7]")
			task.Command, task.Executor = nil, goodExecutor()
			test.change(task.Executor)
			refused(t, validate.Task(task, framework(), agent(), offered()), test.want)
		})
	}
}

func TestExecutorsMustNotChange(t *testing.T) {
	task := goodTask()
	task.Command, task.Executor = nil, goodExecutor()
	task.Executor.ExecutorId.Value = new("there")
	task.Executor.Name = new("another")
	err := validate.Task(task, framework(), agent(), offered())
	if err == nil || !strings.HasPrefix(err.Error(),
		"ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID.\n") {
		t.Errorf("refused with %v", err)
	}
}

// An executor that is already there needs no resources of its own.
func TestExistingExecutorIsPaidFor(t *testing.T) {
	task := goodTask()
	task.Resources = allocated("cpus:4")
	task.Command, task.Executor = nil, goodExecutor()
	task.Executor.ExecutorId.Value = new("there")
	refused(t, validate.Task(task, framework(), agent(), offered()), "")
}
