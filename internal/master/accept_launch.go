package master

import (
	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/invariant"
	"github.com/meseta-project/meseta/internal/secret"
	"github.com/meseta-project/meseta/internal/validate"
	"github.com/meseta-project/meseta/resources"
)

// launch does a LAUNCH: each task for itself.
func (m *Master) launch(x *acceptance, tasks []*mesos.TaskInfo) {
	for _, info := range tasks {
		info = x.prepare(info)
		if err := validate.Task(info, x.asks, x.at, x.available()); err != nil {
			m.failTasks(x.framework, []*mesos.TaskInfo{info}, mesos.TaskState_TASK_ERROR,
				mesos.TaskStatus_REASON_TASK_INVALID, err.Error())
			continue
		}
		m.launchTask(x, info)
	}
}

func (m *Master) launchTask(x *acceptance, info *mesos.TaskInfo) {
	f, a := x.framework, x.agent
	fresh := true
	if info.Executor != nil {
		fresh = m.needExecutor(x, info.Executor)
	}
	m.takeTask(x, info)
	m.sendLaunch(a, &messages.RunTaskMessage{
		Framework:            f.row.Info,
		Pid:                  new(f.pid()),
		Task:                 info,
		ResourceVersionUuids: a.versions(),
		LaunchExecutor:       &fresh,
	})
}

// launchGroup does a LAUNCH_GROUP: all its tasks, or none.
func (m *Master) launchGroup(x *acceptance, op *mesos.Offer_Operation_LaunchGroup) {
	f, a := x.framework, x.agent
	executor := x.prepareExecutor(op.Executor)
	group := &mesos.TaskGroupInfo{}
	for _, info := range op.TaskGroup.GetTasks() {
		info = x.prepare(info)
		if info.Executor == nil {
			info.Executor = executor
		}
		group.Tasks = append(group.Tasks, info)
	}
	if err := validate.TaskGroup(group, executor, x.asks, x.at, x.available()); err != nil {
		m.failTasks(f, group.Tasks, mesos.TaskState_TASK_ERROR, mesos.TaskStatus_REASON_TASK_GROUP_INVALID, err.Error())
		return
	}
	fresh := m.needExecutor(x, executor)
	for _, info := range group.Tasks {
		m.takeTask(x, info)
	}
	m.sendLaunch(a, &messages.RunTaskGroupMessage{
		Framework:            f.row.Info,
		Executor:             executor,
		TaskGroup:            group,
		ResourceVersionUuids: a.versions(),
		LaunchExecutor:       &fresh,
	})
}

// sendLaunch sends a launch in the form that the agent understands.
func (m *Master) sendLaunch(a *agent, msg any) {
	switch msg := msg.(type) {
	case *messages.RunTaskMessage:
		if !a.caps.reservationRefinement {
			msg = msg.CloneVT()
			mustDowngrade(resources.DowngradeMessage(msg))
		}
		m.send(a, msg)
	case *messages.RunTaskGroupMessage:
		if !a.caps.reservationRefinement {
			msg = msg.CloneVT()
			mustDowngrade(resources.DowngradeMessage(msg))
		}
		m.send(a, msg)
	}
}

func mustDowngrade(err error) {
	invariant.Check(err == nil, "agent has refined reservations that it does not know of", "error", err)
}

// versions returns by which versions of the agent's resources a launch goes.
func (a *agent) versions() []*messages.ResourceVersionUUID {
	if a.version == nil {
		return nil
	}
	return []*messages.ResourceVersionUUID{{Uuid: &mesos.UUID{Value: a.version}}}
}

// needExecutor makes sure that an executor is on the books, and reports whether
// the agent has to launch it.
func (m *Master) needExecutor(x *acceptance, info *mesos.ExecutorInfo) bool {
	if x.agent.executorOf(x.framework, info.ExecutorId) != nil {
		return false
	}
	x.take(m.addExecutor(x.framework, x.agent, info))
	return true
}

// takeTask puts a task, which has been validated, on the books.
func (m *Master) takeTask(x *acceptance, info *mesos.TaskInfo) {
	rs := resources.Trusted(info.Resources)
	x.take(rs)
	desc := &mesos.Task{
		Name:        info.Name,
		TaskId:      info.TaskId,
		FrameworkId: x.framework.row.Info.Id,
		AgentId:     info.AgentId,
		State:       mesos.TaskState_TASK_STAGING.Enum(),
		Resources:   info.Resources,
		Limits:      info.Limits,
		Labels:      info.Labels,
		Discovery:   info.Discovery,
		Container:   secret.WithoutInContainer(info.Container),
		HealthCheck: secret.WithoutInHealthCheck(info.HealthCheck),
		KillPolicy:  info.KillPolicy,
		User:        userOf(info),
	}
	if info.Executor != nil {
		desc.ExecutorId = info.Executor.ExecutorId
	}
	m.addTask(x.framework, x.agent, desc, rs)
}

// userOf returns the user that a task asks to run as, if it does.
func userOf(info *mesos.TaskInfo) *string {
	if c := info.Command; c != nil && c.User != nil {
		return c.User
	}
	if c := info.GetExecutor().GetCommand(); c != nil {
		return c.User
	}
	return nil
}

// prepare returns a task with what frameworks may leave out: to which role its
// resources are allocated, whose executor it has, of which type its health
// check is.
func (x *acceptance) prepare(info *mesos.TaskInfo) *mesos.TaskInfo {
	t := &mesos.TaskInfo{
		Name:              info.Name,
		TaskId:            info.TaskId,
		AgentId:           info.AgentId,
		Resources:         allocatedTo(info.Resources, x.role),
		Executor:          x.prepareExecutor(info.Executor),
		Command:           info.Command,
		Container:         info.Container,
		HealthCheck:       typedHealthCheck(info.HealthCheck),
		Check:             info.Check,
		KillPolicy:        info.KillPolicy,
		Data:              info.Data,
		Labels:            info.Labels,
		Discovery:         info.Discovery,
		MaxCompletionTime: info.MaxCompletionTime,
		Limits:            info.Limits,
	}
	return t
}

func (x *acceptance) prepareExecutor(info *mesos.ExecutorInfo) *mesos.ExecutorInfo {
	if info == nil {
		return nil
	}
	e := info.CloneVT()
	e.Resources = allocatedTo(info.Resources, x.role)
	if e.FrameworkId == nil {
		e.FrameworkId = x.framework.row.Info.Id
	}
	return e
}

// typedHealthCheck returns a health check of the type that can be told from
// what it has, if it does not say.
func typedHealthCheck(h *mesos.HealthCheck) *mesos.HealthCheck {
	if h == nil || h.Type != nil || (h.Command == nil) == (h.Http == nil) {
		return h
	}
	h = h.CloneVT()
	h.Type = mesos.HealthCheck_HTTP.Enum()
	if h.Command != nil {
		h.Type = mesos.HealthCheck_COMMAND.Enum()
	}
	return h
}
