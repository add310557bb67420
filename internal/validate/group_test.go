package validate_test

import (
	"iter"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/validate"
	"github.com/meseta-project/meseta/resources"
)

// groupExecutor is a default executor for goodGroup.
func groupExecutor() *mesos.ExecutorInfo {
	e := goodExecutor()
	e.Type, e.Command = mesos.ExecutorInfo_DEFAULT.Enum(), nil
	return e
}

func goodGroup() *mesos.TaskGroupInfo {
	a, b := goodTask(), goodTask()
	a.Executor, b.Executor = groupExecutor(), groupExecutor()
	b.TaskId.Value = new("u")
	return &mesos.TaskGroupInfo{Tasks: []*mesos.TaskInfo{a, b}}
}

// taskGroup validates a group as it is launched.
func taskGroup(
	group *mesos.TaskGroupInfo, e *mesos.ExecutorInfo, f *validate.Framework, a *validate.Agent, offered resources.Resources,
) error {
	g := validate.NewGroup(e, f, a)
	for _, t := range group.GetTasks() {
		if err := g.Add(t); err != nil {
			return err
		}
	}
	return g.Whole(offered)
}

func TestTaskGroup(t *testing.T) {
	const cgroups = "If set, the value of 'share_cgroups' must be the same for all tasks in each task group" +
		" and under a single executor"
	httpCheck := func(t *mesos.TaskInfo) {
		t.HealthCheck = &mesos.HealthCheck{
			Type: mesos.HealthCheck_HTTP.Enum(),
			Http: &mesos.HealthCheck_HTTPCheckInfo{Port: new(uint32(80))},
		}
	}
	for _, test := range []struct {
		name   string
		change func(first *mesos.TaskInfo, e *mesos.ExecutorInfo)
		want   string
	}{
		{"good", func(*mesos.TaskInfo, *mesos.ExecutorInfo) {}, ""},
		{
			"bad task", func(t *mesos.TaskInfo, _ *mesos.ExecutorInfo) { t.Resources = nil },
			"Task 't' is invalid: Task uses no resources",
		},
		{
			"one ID twice", func(t *mesos.TaskInfo, _ *mesos.ExecutorInfo) { t.TaskId.Value = new("u") },
			"Task 'u' is invalid: Task has duplicate ID: u",
		},
		{
			"no executor", func(t *mesos.TaskInfo, _ *mesos.ExecutorInfo) { t.Executor = nil },
			"Task 't' is invalid: 'TaskInfo.executor' must be set",
		},
		{"HTTP check of another network", func(t *mesos.TaskInfo, _ *mesos.ExecutorInfo) {
			httpCheck(t)
			t.Container = &mesos.ContainerInfo{
				Type: mesos.ContainerInfo_MESOS.Enum(), NetworkInfos: []*mesos.NetworkInfo{{}},
			}
		}, "Task 't' is invalid: HTTP and TCP health checks are not supported for nested containers not joining" +
			" parent's network"},
		{"HTTP check", func(t *mesos.TaskInfo, _ *mesos.ExecutorInfo) { httpCheck(t) }, ""},
		{"Docker task", func(t *mesos.TaskInfo, _ *mesos.ExecutorInfo) {
			t.Container = &mesos.ContainerInfo{
				Type: mesos.ContainerInfo_DOCKER.Enum(), Docker: &mesos.ContainerInfo_DockerInfo{},
			}
		}, "Task 't' is invalid: Docker ContainerInfo is not supported on the task"},
		{"limits in the executor's control groups", func(t *mesos.TaskInfo, _ *mesos.ExecutorInfo) {
			t.Limits = map[string]*mesos.Value_Scalar{"cpus": scalar(2)}
		}, "Task 't' is invalid: Resource limits may only be set for tasks within a task group when the" +
			" 'share_cgroups' field is set to 'false'."},
		{
			"other control groups", func(t *mesos.TaskInfo, _ *mesos.ExecutorInfo) { t.Container = ownCgroups(false) },
			cgroups,
		},
		{
			"bad executor", func(_ *mesos.TaskInfo, e *mesos.ExecutorInfo) { e.FrameworkId = nil },
			"'ExecutorInfo.framework_id' must be set",
		},
		{"no type", func(_ *mesos.TaskInfo, e *mesos.ExecutorInfo) { e.Type = nil }, "'ExecutorInfo.type' must be set"},
		{
			"unknown type", func(_ *mesos.TaskInfo, e *mesos.ExecutorInfo) { e.Type = mesos.ExecutorInfo_UNKNOWN.Enum() },
			"Unknown executor type",
		},
		{"Docker executor", func(_ *mesos.TaskInfo, e *mesos.ExecutorInfo) {
			e.Type, e.Command = mesos.ExecutorInfo_CUSTOM.Enum(), &mesos.CommandInfo{}
			e.Container = &mesos.ContainerInfo{
				Type: mesos.ContainerInfo_DOCKER.Enum(), Docker: &mesos.ContainerInfo_DockerInfo{},
			}
		}, "Docker ContainerInfo is not supported on the executor"},
		{
			"another executor", func(t *mesos.TaskInfo, _ *mesos.ExecutorInfo) { t.Executor.Name = new("x") },
			"The `ExecutorInfo` of task 't' is different from executor 'e'",
		},
		{"little CPU", func(_ *mesos.TaskInfo, e *mesos.ExecutorInfo) {
			e.Resources = allocated("cpus:0.005;mem:32;disk:1")
		}, "Executor 'e' uses less CPUs (0.005) than the minimum required (0.01)"},
		{
			"no CPU", func(_ *mesos.TaskInfo, e *mesos.ExecutorInfo) { e.Resources = allocated("mem:32;disk:1") },
			"Executor 'e' uses less CPUs (None) than the minimum required (0.01)",
		},
		{"little memory", func(_ *mesos.TaskInfo, e *mesos.ExecutorInfo) {
			e.Resources = allocated("cpus:1;mem:16;disk:1")
		}, "Executor 'e' uses less memory (16MB) than the minimum required (32MB)"},
		{
			"no disk", func(_ *mesos.TaskInfo, e *mesos.ExecutorInfo) { e.Resources = allocated("cpus:1;mem:32") },
			"Executor 'e' uses no disk",
		},
		{"ports twice", func(t *mesos.TaskInfo, e *mesos.ExecutorInfo) {
			t.Resources = allocated("cpus:1;ports:[1-2]")
			e.Resources = allocated("cpus:0.1;mem:32;disk:1;ports:[2-3]")
		}, "There are overlapping resources in the task group's task resources" +
			" [ cpus(allocated: eng):1; ports(allocated: eng):[1-2], cpus(allocated: eng):1; mem(allocated: eng):32 ]" +
			" and/or executor resources cpus(allocated: eng):0.1; mem(allocated: eng):32; disk(allocated: eng):1;" +
			" ports(allocated: eng):[2-3]"},
		{
			"too much", func(t *mesos.TaskInfo, _ *mesos.ExecutorInfo) { t.Resources = allocated("cpus:3") },
			"Total resources cpus(allocated: eng):4.1; mem(allocated: eng):64; disk(allocated: eng):1 required by task" +
				" group and its executor are more than available " + offered().String(),
		},
		{
			"in a parent's control groups", func(_ *mesos.TaskInfo, e *mesos.ExecutorInfo) { e.Container = ownCgroups(true) },
			"The 'share_cgroups' field cannot be set to 'true' on executor containers",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			group, e := goodGroup(), groupExecutor()
			test.change(group.Tasks[0], e)
			// What is changed of the executor is so in the tasks too, unless
			// they were made to differ.
			for _, task := range group.Tasks {
				if task.Executor != nil && task.Executor.Name == nil {
					task.Executor = e
				}
			}
			refused(t, taskGroup(group, e, framework(), agent(), offered()), test.want)
		})
	}
}

// The tasks that an executor already has decide about the control groups of
// those that join them.
func TestControlGroupsOfARunningExecutor(t *testing.T) {
	group, e, a := goodGroup(), groupExecutor(), agent()
	for _, task := range group.Tasks {
		task.Container, task.Executor = ownCgroups(false), e
	}
	a.Executor = func(ids.ExecutorID) *mesos.ExecutorInfo { return groupExecutor() }
	a.Containers = func(ids.ExecutorID) iter.Seq[*mesos.ContainerInfo] {
		return func(yield func(*mesos.ContainerInfo) bool) { yield(ownCgroups(false)) }
	}
	refused(t, taskGroup(group, e, framework(), a, offered()), "")
	a.Containers = func(ids.ExecutorID) iter.Seq[*mesos.ContainerInfo] {
		return func(yield func(*mesos.ContainerInfo) bool) { _ = yield(ownCgroups(false)) && yield(nil) }
	}
	refused(t, taskGroup(group, e, framework(), a, offered()),
		"If set, the value of 'share_cgroups' must be the same for all tasks in each task group"+
			" and under a single executor")
}

// Frameworks that keep variables in a hash map send them in another order each
// time.
func TestOrderOfVariablesDoesNotMatter(t *testing.T) {
	variables := func(names ...string) *mesos.CommandInfo {
		c := &mesos.CommandInfo{Value: new("x"), Environment: &mesos.Environment{}}
		for _, name := range names {
			c.Environment.Variables = append(c.Environment.Variables,
				&mesos.Environment_Variable{Name: &name, Value: new("v")})
			c.Uris = append(c.Uris, &mesos.CommandInfo_URI{Value: &name})
		}
		return c
	}
	group, e := goodGroup(), groupExecutor()
	e.Type, e.Command = mesos.ExecutorInfo_CUSTOM.Enum(), variables("A", "B", "C")
	for _, task := range group.Tasks {
		task.Executor.Type, task.Executor.Command = e.Type, variables("C", "A", "B")
	}
	refused(t, taskGroup(group, e, framework(), agent(), offered()), "")
	group.Tasks[0].Executor.Command = variables("A", "B")
	refused(t, taskGroup(group, e, framework(), agent(), offered()),
		"The `ExecutorInfo` of task 't' is different from executor 'e'")
}
