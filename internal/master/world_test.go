package master

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/registry"
	"github.com/meseta-project/meseta/resources"
)

// A world is a master with a store, agents and frameworks around it, for
// tests: all is one thread, and time passes when told.
type world struct {
	cfg    Config
	m      *Master
	now    time.Time
	store  map[string][]byte
	held   []uint64 // batches stored but not committed, while hold is set
	hold   bool
	quiet  bool // print no records, links, pings and events
	leader int

	agents     map[string]*testAgent
	agentNames map[ids.UPID]string
	frameworks map[string]*testFramework
	uuids      int
	conns      ConnID
	requests   RequestID
	caps       []*mesos.MasterInfo_Capability
	demands    []RankDemand
	waits      map[RequestID]bool // whose success is printed

	// allocator, heard and seen, if not nil: makes a leader's allocator; is told of
	// each input but records' and time's; is told of all effects.
	allocator func() Allocator
	heard     func(Input)
	seen      func(Effects)

	out strings.Builder
}

// A testAgent does what an agent does, as far as messages go.
type testAgent struct {
	name  string
	pid   ids.UPID
	info  *mesos.AgentInfo
	mute  bool // answers no pings
	lost  *mesos.Task
	life  int    // how often it was started anew
	over  uint64 // the connection that it speaks over
	tasks map[string]*mesos.Task
	execs map[string]*mesos.ExecutorInfo
	infos map[string]*mesos.FrameworkInfo
	order []string // of tasks
	// operations are those that it was told to do.
	operations []*messages.ApplyOperationMessage
	caps       []*mesos.AgentInfo_Capability
}

type testFramework struct {
	name string
	id   ids.FrameworkID
	peer Peer
	info *mesos.FrameworkInfo
}

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newWorld(cfg Config) *world {
	w := unledWorld(cfg)
	w.elect()
	return w
}

// unledWorld is a world without a leader.
func unledWorld(cfg Config) *world {
	return &world{
		cfg:        cfg,
		now:        start,
		store:      map[string][]byte{},
		agents:     map[string]*testAgent{},
		agentNames: map[ids.UPID]string{},
		frameworks: map[string]*testFramework{},
		waits:      map[RequestID]bool{},
		caps:       []*mesos.MasterInfo_Capability{{Type: mesos.MasterInfo_Capability_QUOTA_V2.Enum()}},
	}
}

// elect starts a new leader on what the store holds.
func (w *world) elect() {
	w.leader++
	deps := Deps{Rand: rand.New(rand.NewPCG(1, uint64(w.leader))), Log: slog.New(slog.DiscardHandler)}
	if w.allocator != nil {
		deps.Allocator = w.allocator()
	} else {
		deps.Allocator = allocator.New(allocator.DefaultConfig(), deps.Rand)
	}
	w.m = New(w.cfg, deps)
	r, err := registry.Load(func(yield func(string, []byte) bool) {
		for k, v := range w.store {
			if !yield(k, v) {
				return
			}
		}
	})
	if err != nil {
		panic(err)
	}
	w.m.Recover(w.now, Inherit(r), &mesos.MasterInfo{
		Id:           new(fmt.Sprintf("m%d", w.leader)),
		Ip:           new(uint32(1)),
		Port:         new(uint32(5050)),
		Hostname:     new("master.test"),
		Capabilities: w.caps,
	})
	w.settle()
}

// step steps one input and whatever follows from it at once.
func (w *world) step(in Input) {
	w.hand(in)
	w.settle()
}

func (w *world) hand(in Input) {
	if w.heard != nil {
		w.heard(in)
	}
	w.m.Step(w.now, in)
}

// settle carries out effects until there are none.
func (w *world) settle() time.Time {
	for {
		w.m.Check()
		e := w.m.Effects()
		w.m.Check()
		if w.seen != nil {
			w.seen(e)
		}
		w.print(e)
		again := w.carryOut(e)
		if !again {
			return e.Wake
		}
	}
}

func (w *world) carryOut(e Effects) (again bool) {
	if e.Persist != nil {
		for _, p := range registry.Puts(e.Persist) {
			if p.Value == nil {
				delete(w.store, p.Key)
			} else {
				w.store[p.Key] = p.Value
			}
		}
		if w.hold {
			w.held = append(w.held, e.Persist.Seq)
		} else {
			w.m.Step(w.now, Committed{e.Persist.Seq})
			again = true
		}
	}
	for _, msg := range e.Messages {
		if p, ok := msg.(ToProcess); ok && w.deliver(p) {
			again = true
		}
		if ask, ok := msg.(RankDemand); ok {
			w.demands = append(w.demands, ask)
		}
		if f, ok := msg.(ToFramework); ok {
			w.hear(f)
		}
	}
	return again
}

// hear has a framework learn its ID.
func (w *world) hear(to ToFramework) {
	for _, f := range w.frameworks {
		if f.peer == to.Peer && to.Event.GetType() == schedulerpb.Event_SUBSCRIBED {
			f.id = ids.FrameworkID(to.Event.Subscribed.FrameworkId.GetValue())
			f.info.Id = to.Event.Subscribed.FrameworkId
		}
	}
}

// deliver has an agent do what it is told; it reports whether the master was
// answered.
func (w *world) deliver(p ToProcess) bool {
	a := w.agents[w.agentNames[p.To]]
	if a == nil {
		return false
	}
	switch msg := p.Message.(type) {
	case *messages.PingSlaveMessage:
		if !a.mute {
			w.hand(AgentMessage{From: a.pid, To: p.From, Message: &messages.PongSlaveMessage{}})
			return true
		}
	case *messages.SlaveRegisteredMessage:
		a.info.Id = msg.SlaveId
	case *messages.RunTaskMessage:
		if !a.mute {
			a.run(msg.Framework, msg.Task)
		}
	case *messages.ApplyOperationMessage:
		a.operations = append(a.operations, msg)
	case *messages.RunTaskGroupMessage:
		for _, t := range msg.TaskGroup.Tasks {
			a.run(msg.Framework, t)
		}
	}
	return false
}

func (a *testAgent) run(f *mesos.FrameworkInfo, t *mesos.TaskInfo) {
	a.infos[f.GetId().GetValue()] = f
	task := &mesos.Task{
		Name: t.Name, TaskId: t.TaskId, AgentId: t.AgentId, FrameworkId: f.Id,
		State: mesos.TaskState_TASK_STAGING.Enum(), Resources: t.Resources,
	}
	if t.Executor != nil {
		task.ExecutorId = t.Executor.ExecutorId
		a.execs[t.Executor.ExecutorId.GetValue()] = t.Executor
	}
	id := t.TaskId.GetValue()
	if a.tasks[id] == nil {
		a.order = append(a.order, id)
	}
	a.tasks[id] = task
}

// outcome returns what an agent says of an operation.
func (a *testAgent) outcome(op *messages.ApplyOperationMessage, state mesos.OperationState, uuid []byte) *messages.UpdateOperationStatusMessage {
	s := &mesos.OperationStatus{State: state.Enum(), Uuid: &mesos.UUID{Value: uuid}, AgentId: a.info.Id}
	return &messages.UpdateOperationStatusMessage{
		FrameworkId: op.FrameworkId, SlaveId: a.info.Id, Status: s, LatestStatus: s, OperationUuid: op.OperationUuid,
	}
}

// known returns an operation as an agent lists it.
func (a *testAgent) known(op *messages.ApplyOperationMessage) *mesos.Operation {
	return &mesos.Operation{
		FrameworkId: op.FrameworkId, AgentId: a.info.Id, Info: op.OperationInfo, Uuid: op.OperationUuid,
		LatestStatus: &mesos.OperationStatus{State: mesos.OperationState_OPERATION_PENDING.Enum()},
	}
}

// listing is what an agent sends to tell of operations.
func (a *testAgent) listing(ops []*messages.ApplyOperationMessage) *messages.UpdateSlaveMessage {
	msg := &messages.UpdateSlaveMessage{
		SlaveId: a.info.Id, Operations: &messages.UpdateSlaveMessage_Operations{},
		UpdateOversubscribedResources: new(false), ResourceVersionUuid: a.version(),
	}
	for _, op := range ops {
		msg.Operations.Operations = append(msg.Operations.Operations, a.known(op))
	}
	return msg
}

// advance lets time pass, with a tick whenever the master wants one.
func (w *world) advance(d time.Duration) {
	end := w.now.Add(d)
	wake := w.settle()
	for !wake.IsZero() && !wake.After(end) {
		if wake.After(w.now) {
			w.now = wake
		}
		w.m.Step(w.now, Tick{})
		wake = w.settle()
	}
	w.now = end
	w.m.Step(w.now, Tick{})
	w.settle()
}

// commit commits what was held back.
func (w *world) commit() {
	for _, seq := range w.held {
		w.m.Step(w.now, Committed{seq})
		w.settle()
	}
	w.held = nil
}

func (w *world) addAgent(name, rs, hostname string) *testAgent {
	n := len(w.agents) + 1
	a := &testAgent{
		name: name,
		pid:  ids.UPID(fmt.Sprintf("slave(1)@10.0.0.%d:5051", n)),
		info: &mesos.AgentInfo{
			Hostname:  &hostname,
			Resources: resources.MustParse(rs).Endpoint(),
		},
		tasks: map[string]*mesos.Task{},
		execs: map[string]*mesos.ExecutorInfo{},
		infos: map[string]*mesos.FrameworkInfo{},
	}
	for c := mesos.AgentInfo_Capability_MULTI_ROLE; c <= mesos.AgentInfo_Capability_TASK_RESOURCE_LIMITS; c++ {
		a.caps = append(a.caps, &mesos.AgentInfo_Capability{Type: c.Enum()})
	}
	w.agents[name] = a
	w.agentNames[a.pid] = name
	return a
}

func (w *world) from(a *testAgent, msg proto.Message) {
	w.step(AgentMessage{From: a.pid, To: "master", Over: a.over, Message: msg})
}

func (w *world) register(a *testAgent, version string) {
	info := a.info.CloneVT()
	info.Id = nil
	w.from(a, &messages.RegisterSlaveMessage{
		Slave: info, Version: &version, AgentCapabilities: a.caps, ResourceVersionUuid: a.version(),
	})
}

// version returns the resource version of the agent's process.
func (a *testAgent) version() *mesos.UUID {
	return &mesos.UUID{Value: fmt.Appendf(nil, "%-8s%8d", a.name, a.life)}
}

// reregister has an agent register again, with the tasks that it knows of.
func (w *world) reregister(a *testAgent) {
	msg := &messages.ReregisterSlaveMessage{
		Slave: a.info.CloneVT(), Version: new("1.11.0"), AgentCapabilities: a.caps,
		ResourceVersionUuid: a.version(),
	}
	listed := map[string]bool{}
	for _, id := range a.order {
		t := a.tasks[id]
		if t == nil {
			continue
		}
		msg.Tasks = append(msg.Tasks, t.CloneVT())
		if e := a.execs[t.GetExecutorId().GetValue()]; e != nil && !listed[e.GetExecutorId().GetValue()] {
			listed[e.GetExecutorId().GetValue()] = true
			msg.ExecutorInfos = append(msg.ExecutorInfos, e)
		}
		if f := t.GetFrameworkId().GetValue(); !listed["framework "+f] {
			listed["framework "+f] = true
			msg.Frameworks = append(msg.Frameworks, a.infos[f])
		}
	}
	w.from(a, msg)
}

// agentOf returns the agent that has a task.
func (w *world) agentOf(task string) *testAgent {
	for _, a := range w.agents {
		if a.tasks[task] != nil {
			return a
		}
	}
	panic("no agent has task " + task)
}

// uuid returns a new UUID, which begins with its number.
func (w *world) uuid() []byte {
	w.uuids++
	return fmt.Appendf(nil, "%-16d", w.uuids)
}

// update has an agent send a status of a task.
func (w *world) update(task string, state, latest mesos.TaskState, edit func(*mesos.TaskStatus)) {
	a := w.agentOf(task)
	w.updateOf(a, a.tasks[task], state, latest, edit)
}

func (w *world) updateOf(a *testAgent, t *mesos.Task, state, latest mesos.TaskState, edit func(*mesos.TaskStatus)) {
	t.State = latest.Enum()
	uuid := w.uuid()
	s := &mesos.TaskStatus{
		TaskId: t.TaskId, State: state.Enum(), AgentId: a.info.Id, ExecutorId: t.ExecutorId, Uuid: uuid,
		Timestamp: new(float64(w.now.Unix())), Source: mesos.TaskStatus_SOURCE_EXECUTOR.Enum(),
	}
	if edit != nil {
		edit(s)
	}
	t.Statuses = append(t.Statuses, s)
	t.StatusUpdateState, t.StatusUpdateUuid = state.Enum(), uuid
	w.from(a, &messages.StatusUpdateMessage{
		Pid: new(string(a.pid)),
		Update: &messages.StatusUpdate{
			FrameworkId: t.FrameworkId, SlaveId: a.info.Id, ExecutorId: t.ExecutorId, Status: s,
			Timestamp: s.Timestamp, Uuid: uuid, LatestState: latest.Enum(),
		},
	})
}

func (w *world) call(f *testFramework, c *schedulerpb.Call) {
	w.requests++
	c.FrameworkId = frameworkID(f.id)
	w.step(SchedulerCall{Request: w.requests, Peer: f.peer, Principal: f.info.GetPrincipal(), Call: c, Constraints: w.m.cfg.Compile(c.GetUpdateFramework().GetOfferConstraints())})
}

func (w *world) subscribe(f *testFramework, call *schedulerpb.Call_Subscribe) {
	w.conns++
	f.peer = Peer{Conn: w.conns, StreamID: fmt.Sprintf("stream-%d", w.conns)}
	call.FrameworkInfo = f.info
	w.step(Subscribe{Peer: f.peer, Call: call, Constraints: w.m.cfg.Compile(call.OfferConstraints)})
}
