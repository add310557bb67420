package agent

import (
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/invariant"
	"github.com/meseta-project/meseta/internal/meta"
	"github.com/meseta-project/meseta/internal/secret"
	"github.com/meseta-project/meseta/internal/status"
	"github.com/meseta-project/meseta/resources"
)

// Times of registration and pings that are no flags.
const (
	// maxRegisterRetry is the longest time between two attempts to register.
	maxRegisterRetry = time.Minute
	// maxReconnectRetry is the same while there is nobody to answer: the master
	// is down, and nothing is gained by leaving it alone when it is back.
	maxReconnectRetry = 5 * time.Second
	// defaultPingTimeout is how long the master's observer may be silent, until
	// the master says otherwise: five pings of 15 s.
	defaultPingTimeout = 75 * time.Second
)

// capabilities are what this agent can do, in the order in which Mesos's agent
// announces them.
var capabilities = [...]mesos.AgentInfo_Capability_Type{
	mesos.AgentInfo_Capability_MULTI_ROLE,
	mesos.AgentInfo_Capability_HIERARCHICAL_ROLE,
	mesos.AgentInfo_Capability_RESERVATION_REFINEMENT,
	mesos.AgentInfo_Capability_RESOURCE_PROVIDER,
	mesos.AgentInfo_Capability_RESIZE_VOLUME,
	mesos.AgentInfo_Capability_AGENT_OPERATION_FEEDBACK,
	mesos.AgentInfo_Capability_AGENT_DRAINING,
	mesos.AgentInfo_Capability_TASK_RESOURCE_LIMITS,
}

// Capabilities returns what agents of this kind announce.
func Capabilities() []*mesos.AgentInfo_Capability {
	out := make([]*mesos.AgentInfo_Capability, len(capabilities))
	for i := range capabilities {
		out[i] = &mesos.AgentInfo_Capability{Type: capabilities[i].Enum()}
	}
	return out
}

// detected handles a change of the leading master.
func (a *Agent) detected(master ids.UPID) {
	if a.link != 0 && a.master != "" {
		a.out.Messages = append(a.out.Messages, Drop{To: a.master})
	}
	a.master, a.link, a.registeredOver = master, 0, 0
	a.disconnect()
	if master == "" {
		a.timers.cancel(timer{kind: timerRegister})
		a.log.Info("no master leads")
		return
	}
	a.log.Info("master detected", slog.String("master", string(master)))
	a.reregister()
}

// disconnect puts a running agent back among those that are not registered.
// Updates wait until it is again.
func (a *Agent) disconnect() {
	if a.state == Running {
		a.state = Disconnected
	}
	a.registered = time.Time{}
	a.unauthenticate()
	a.updates.Pause()
	a.timers.cancel(timer{kind: timerPing})
}

// reregister begins to register, after a short while that differs from agent to
// agent.
func (a *Agent) reregister() {
	if a.state != Disconnected || a.master == "" {
		return
	}
	a.retry = 2 * a.cfg.RegistrationBackoff
	a.timers.set(timer{kind: timerRegister}, a.now.Add(a.within(a.cfg.RegistrationBackoff)))
}

// within draws a duration in [0, d).
func (a *Agent) within(d time.Duration) time.Duration {
	return time.Duration(a.rand.Int64N(int64(max(d, 1))))
}

// register sends a registration, and plans the next in case that it stays
// unanswered.
func (a *Agent) register() {
	if a.state != Disconnected || a.master == "" {
		return
	}
	if a.link == 0 {
		a.links++
		a.link = a.links
		a.out.Messages = append(a.out.Messages, Link{ID: a.link, To: a.master})
	}
	if a.needsAuthentication() {
		a.authenticate()
		return
	}
	a.tellMaster(a.registration())
	a.timers.set(timer{kind: timerRegister}, a.now.Add(a.within(a.retry)))
	if a.retry >= maxRegisterRetry { // does the master know us at all?
		a.unauthenticate()
	}
	a.retry = min(2*a.retry, maxRegisterRetry)
}

// registration returns the message by which the agent asks to be admitted, with
// resources in the old form.
func (a *Agent) registration() proto.Message {
	a.reserved.told = a.reserved.all
	var m proto.Message
	if a.id() == "" {
		m = &messages.RegisterSlaveMessage{
			Slave:                 a.info,
			CheckpointedResources: a.reserved.proto(),
			Version:               &a.cfg.Version,
			AgentCapabilities:     Capabilities(),
			ResourceVersionUuid:   &mesos.UUID{Value: a.version},
		}
	} else {
		m = a.reregistration()
	}
	return downgraded(m)
}

// reregistration tells the master all that is here. It may not know that an earlier
// one ended a framework, and takes what is listed of it for running: from now on it
// must hear of the end. If it knows, it says so again.
func (a *Agent) reregistration() *messages.ReregisterSlaveMessage {
	m := &messages.ReregisterSlaveMessage{
		Slave:                 a.info,
		CheckpointedResources: a.reserved.proto(),
		Version:               &a.cfg.Version,
		AgentCapabilities:     Capabilities(),
		ResourceVersionUuid:   &mesos.UUID{Value: a.version},
	}
	for _, f := range inOrder(a.frameworks) {
		f.terminating = false
		m.Frameworks = append(m.Frameworks, f.info)
		for _, x := range inOrder(f.executors) {
			for _, t := range inOrder(x.tasks) {
				m.Tasks = append(m.Tasks, a.announced(t))
			}
			if !x.generated && x.state != ExecutorTerminated {
				m.ExecutorInfos = append(m.ExecutorInfos, secret.WithoutInExecutor(x.info))
			}
		}
	}
	for _, f := range a.completed.kept {
		m.CompletedFrameworks = append(m.CompletedFrameworks, f.archive())
	}
	return m
}

// announced returns a task as a re-registration names it: with the update that
// its framework has to acknowledge next. A new master says no more of the task
// than that, lest the framework hear of the end before of what led to it.
func (a *Agent) announced(t *task) *mesos.Task {
	front := a.updates.Front(status.Key{Framework: t.executor.run.Framework, Task: t.id})
	if front == nil {
		return t.row
	}
	row := copyTask(t.row)
	row.StatusUpdateState, row.StatusUpdateUuid = front.GetStatus().State, front.GetUuid()
	return row
}

// accepted handles the master's answer to a registration of either kind.
func (a *Agent) accepted(id *mesos.AgentID, c *messages.MasterSlaveConnection) bool {
	switch {
	case a.state == Terminating:
		return false
	case a.id() != "" && a.info.GetId().GetValue() != id.GetValue():
		a.fatal("the master gave this agent another ID", slog.String("agent_id", id.GetValue()))
		return false
	}
	a.pingWithin = defaultPingTimeout
	if c.TotalPingTimeoutSeconds != nil {
		a.pingWithin = time.Duration(c.GetTotalPingTimeoutSeconds() * float64(time.Second))
	}
	if a.state == Disconnected {
		a.state, a.registered = Running, a.now
		a.timers.cancel(timer{kind: timerRegister})
		a.timers.set(timer{kind: timerPing}, a.now.Add(a.pingWithin))
	}
	return true
}

// admitted handles the first admission: the agent has an ID now.
func (a *Agent) admitted(m *messages.SlaveRegisteredMessage) {
	fresh := a.id() == ""
	if !fresh && a.state == Disconnected {
		// It answers a registration from before this agent knew its ID. Tasks may
		// have come and been ignored since; only a re-registration accounts for them.
		a.log.Info("waiting to be re-registered", slog.String("agent_id", m.GetSlaveId().GetValue()))
		return
	}
	if !a.accepted(m.GetSlaveId(), m.GetConnection()) {
		return
	}
	if fresh {
		a.log.Info("registered", slog.String("agent_id", m.GetSlaveId().GetValue()))
		a.become(m.GetSlaveId())
	}
	a.tellMaster(a.describe())
	a.resumeUpdates()
}

// become gives the agent its ID, and remembers it.
func (a *Agent) become(id *mesos.AgentID) {
	a.info = withID(a.info, id)
	a.layout.Agent = a.id()
	a.persist(meta.Agent{Info: downgraded(a.info)})
}

// readmitted handles a later admission, and what the master knows that
// is not here.
func (a *Agent) readmitted(m *messages.SlaveReregisteredMessage) {
	if a.id() == "" {
		a.fatal("re-registered without ever having registered", slog.String("agent_id", m.GetSlaveId().GetValue()))
		return
	}
	if !a.accepted(m.GetSlaveId(), m.GetConnection()) {
		return
	}
	a.log.Info("re-registered", slog.String("agent_id", m.GetSlaveId().GetValue()))
	a.tellMaster(a.describe())
	a.resumeUpdates()
	for _, r := range m.GetReconciliations() {
		a.reconcile(r)
	}
	a.correctReserved()
}

// correctReserved registers again if operations were done since the last
// registration was sent. The answer was to that one or an earlier one, by which
// the master has made its books what they were before, though it may have sent
// the operations itself: the answer to an earlier registration made it believe
// us back.
func (a *Agent) correctReserved() {
	if a.state == Running && !a.reserved.all.Equal(a.reserved.told) {
		a.log.Info("registering again: what is reserved has changed since the last registration")
		a.tellMaster(a.registration())
	}
}

// reconcile answers for tasks of which the master believes that they are here.
func (a *Agent) reconcile(r *messages.ReconcileTasksMessage) {
	id := ids.FrameworkID(r.GetFrameworkId().GetValue())
	f := a.frameworks[id]
	state := droppedOrLost(r.GetFramework())
	for _, st := range r.GetStatuses() {
		if f != nil && f.tasks[ids.TaskID(st.GetTaskId().GetValue())] != nil {
			continue
		}
		u := a.newUpdate(id, st.GetTaskId(), nil, state, mesos.TaskStatus_REASON_RECONCILIATION,
			"Reconciliation: task unknown to the agent")
		a.deliver(u, nil)
	}
}

// describe returns what the master is told after each admission.
func (a *Agent) describe() *messages.UpdateSlaveMessage {
	ops := &messages.UpdateSlaveMessage_Operations{}
	for _, o := range inOrder(a.reserved.pending) {
		ops.Operations = append(ops.Operations, o.proto)
	}
	return &messages.UpdateSlaveMessage{
		SlaveId:                       a.info.GetId(),
		UpdateOversubscribedResources: new(false),
		Operations:                    ops,
		ResourceVersionUuid:           &mesos.UUID{Value: a.version},
		ResourceProviders:             &messages.UpdateSlaveMessage_ResourceProviders{},
	}
}

// ping answers the master's observer, and takes note of what it says.
func (a *Agent) ping(from ids.UPID, m *messages.PingSlaveMessage) {
	a.out.Messages = append(a.out.Messages, ToProcess{To: from, Message: &messages.PongSlaveMessage{}})
	if a.state != Running || from.Address() != a.master.Address() {
		return
	}
	if !m.GetConnected() {
		a.log.Info("the master believes this agent to be disconnected")
		a.disconnect()
		a.reregister()
		return
	}
	a.timers.set(timer{kind: timerPing}, a.now.Add(a.pingWithin))
}

// pingTimeout handles the silence of the master's observer.
func (a *Agent) pingTimeout() {
	a.log.Warn("no pings from the master", slog.Duration("within", a.pingWithin))
	a.disconnect()
	a.reregister()
}

// masterExited handles the end of the connection to the master. Mesos waits for
// another master to be elected, or for its pings to be missed; we try again at
// once, since a master that was restarted in place is never elected anew.
func (a *Agent) masterExited(master ids.UPID) {
	if master != a.master || a.master == "" {
		return
	}
	a.link = 0
	if a.state == Running {
		a.log.Warn("connection to the master is broken")
		a.disconnect()
		a.reregister()
		return
	}
	a.unauthenticate()
	a.retry = min(a.retry, maxReconnectRetry)
}

// fatal ends the agent's process: what it was told cannot be.
func (a *Agent) fatal(what string, attrs ...any) {
	a.log.Error("the agent cannot go on", append(attrs, slog.String("why", what))...)
	if a.out.Fatal == nil {
		a.out.Fatal = &invariant.Violation{Message: what}
	}
}

// downgraded returns a copy of m with its resources in the old form.
func downgraded[M proto.Message](m M) M {
	c := proto.CloneOf(m)
	// Refined reservations have no old form; they stay as they are.
	_ = resources.DowngradeMessage(c)
	return c
}

// withID returns a copy of info with an ID.
func withID(info *mesos.AgentInfo, id *mesos.AgentID) *mesos.AgentInfo {
	c := info.CloneVT()
	c.Id = id
	return c
}
