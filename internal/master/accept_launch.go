package master

import (
	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/invariant"
	"github.com/meseta-project/meseta/internal/secret"
	"github.com/meseta-project/meseta/internal/validate"
	"github.com/meseta-project/meseta/resources"
)

// launch launches a task of a LAUNCH: each is for itself.
func (m *Master) launch(x *acceptance, info *mesos.TaskInfo) {
	info = x.prepare(info)
	if err := validate.Task(info, x.asks, x.at, x.available()); err != nil {
		m.failTask(x.framework, info, &verdict{
			state: mesos.TaskState_TASK_ERROR, reason: mesos.TaskStatus_REASON_TASK_INVALID, task: err.Error(),
		})
		return
	}
	m.launchTask(x, info)
}

func (m *Master) launchTask(x *acceptance, info *mesos.TaskInfo) {
	f, a := x.framework, x.agent
	fresh := true
	if info.Executor != nil {
		fresh = m.needExecutor(x, info.Executor)
	}
	m.takeTask(x, info)
	m.send(a, &messages.RunTaskMessage{
		Framework:            f.row.Info,
		Pid:                  new(f.pid()),
		Task:                 toldTo(a, info),
		ResourceVersionUuids: a.versions(),
		LaunchExecutor:       &fresh,
	})
}

// A launching is how far it is that a task group is launched:
//
//	each task is valid? ─▶ the group is? ─▶ its executor on the books ─▶ each task ─▶ sent
//	       │                  │
//	       └──────────────────┴─▶ all tasks fail
//
// What is on the books before it is sent the agent is asked about, should it have
// gone away meanwhile.
type launching struct {
	executor *mesos.ExecutorInfo
	tasks    []*mesos.TaskInfo // with what frameworks may leave out
	form     *validate.Group
	valid    bool // as a whole
	fails    *verdict
	onBooks  bool // the executor is
	fresh    bool // the agent has to launch it
}

// launchGroup does a LAUNCH_GROUP: all its tasks, or none. It reports whether it is
// done.
func (m *Master) launchGroup(x *acceptance, op *mesos.Offer_Operation_LaunchGroup, budget *int) (done bool) {
	tasks := op.TaskGroup.GetTasks()
	if x.group == nil {
		executor := x.prepareExecutor(op.Executor)
		x.group = &launching{executor: executor, form: validate.NewGroup(executor, x.asks, x.at)}
	}
	g := x.group
	if !g.validate(x, tasks, budget) {
		return false
	}
	if g.fails != nil {
		done = x.eachTask(tasks, budget, 1, func(t *mesos.TaskInfo) { m.failTask(x.framework, t, g.fails) })
	} else {
		done = m.launchValid(x, g, budget)
	}
	if done {
		x.group = nil
	}
	return done
}

// validate goes on with looking at a group, and reports whether it is done: if it is
// not valid, fails says why.
func (g *launching) validate(x *acceptance, tasks []*mesos.TaskInfo, budget *int) (done bool) {
	var err error
	for len(g.tasks) < len(tasks) && !g.valid && g.fails == nil {
		if !turn(budget, x.cost(2)) {
			return false
		}
		info := x.prepare(tasks[len(g.tasks)])
		if info.Executor == nil {
			info.Executor = g.executor
		}
		g.tasks = append(g.tasks, info)
		if err = g.form.Add(info); err != nil {
			break
		}
	}
	if err == nil && !g.valid && g.fails == nil {
		err = g.form.Whole(x.available())
		g.valid = err == nil
	}
	if err != nil {
		g.fails = &verdict{
			state: mesos.TaskState_TASK_ERROR, reason: mesos.TaskStatus_REASON_TASK_GROUP_INVALID, task: err.Error(),
		}
	}
	return true
}

// launchValid launches a group that is valid, and reports whether it is done.
func (m *Master) launchValid(x *acceptance, g *launching, budget *int) (done bool) {
	f, a := x.framework, x.agent
	if !g.onBooks {
		g.onBooks, g.fresh = true, m.needExecutor(x, g.executor)
	}
	if !x.eachTask(g.tasks, budget, x.cost(2), func(info *mesos.TaskInfo) {
		m.takeTask(x, info)
		g.tasks[x.task] = toldTo(a, info)
	}) {
		return false
	}
	m.send(a, &messages.RunTaskGroupMessage{
		Framework:            f.row.Info,
		Executor:             toldTo(a, g.executor),
		TaskGroup:            &mesos.TaskGroupInfo{Tasks: g.tasks},
		ResourceVersionUuids: a.versions(),
		LaunchExecutor:       &g.fresh,
	})
	return true
}

// launches reports whether a task with an ID is of the group that an ACCEPT launches. It
// has been, or is being, validated as one that is on no book.
func (x *acceptance) launches(id ids.TaskID) bool {
	return x != nil && x.agent != nil && x.group != nil && x.group.fails == nil && x.group.form.Has(string(id))
}

// toldTo returns what is launched in the form that the agent understands.
func toldTo[M interface {
	proto.Message
	CloneVT() M
}](a *agent, what M) M {
	if a.caps.reservationRefinement {
		return what
	}
	what = what.CloneVT()
	mustDowngrade(resources.DowngradeMessage(what))
	return what
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
