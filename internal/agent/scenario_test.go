package agent

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/meta"
	"github.com/meseta-project/meseta/resources"
)

// TestScenarios runs the files of testdata. Each line of a block is a step; its
// effects follow in the order in which they are to be carried out. After each
// step the agent is checked.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		w := newWorld()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var out strings.Builder
			for line := range strings.Lines(d.Input) {
				w.do(&out, parse(line))
				if w.a != nil {
					w.a.Check()
					w.effects(&out)
				}
			}
			return out.String()
		})
	})
}

// do carries out one line.
func (w *world) do(out *strings.Builder, a args) {
	switch a.word(0) {
	case "config":
		w.configure(a)
	case "framework":
		w.framework(a)
	case "agent": // with what still runs: "agent c1 c2"
		var running []ids.ContainerID
		for _, c := range a.words[1:] {
			running = append(running, w.container(c))
		}
		w.start(running)
	case "after":
		d, err := time.ParseDuration(a.word(1))
		if err != nil {
			panic(err)
		}
		w.now = w.now.Add(d)
		w.step(Tick{})
	case "foreign": // containers of another agent's
		for _, f := range w.disk.Frameworks {
			for _, x := range f.Executors {
				for c, run := range x.Runs {
					run.Foreign = slices.Contains(a.words, w.short(c))
				}
			}
		}
	case "rows":
		w.show(out)
	case "effects":
	default:
		in := w.input(a)
		if in == nil {
			fmt.Fprintf(out, "? %v\n", a.words)
			return
		}
		w.step(in)
	}
}

func (w *world) configure(a args) {
	w.cfg.Cleanup, w.cfg.Additive, w.cfg.Limits = a.has("cleanup"), a.has("additive"), a.has("limits")
	w.cfg.Authenticate = a.has("authenticate")
	w.cfg.BootID = or(a.opts["boot"], w.cfg.BootID)
	w.cfg.DefaultContainer = nil
	if host := a.opts["container"]; host != "" {
		w.cfg.DefaultContainer = &mesos.ContainerInfo{Type: mesos.ContainerInfo_MESOS.Enum(), Hostname: &host}
	}
	if r := a.opts["resources"]; r != "" {
		w.cfg.Info = withID(w.cfg.Info, nil)
		w.cfg.Info.Resources = resources.MustParse(r).Proto()
	}
	if f := a.opts["stray"]; f != "" {
		w.disk.Strays = []ids.FrameworkID{ids.FrameworkID(f)}
	}
	w.cfg.ExecutorReregistrationRetry = 0
	if d := a.opts["retry"]; d != "" {
		w.cfg.ExecutorReregistrationRetry = mustDuration(d)
	}
	if n, err := strconv.Atoi(a.opts["completed"]); err == nil {
		w.cfg.MaxCompletedFrameworks, w.cfg.MaxCompletedExecutors, w.cfg.MaxCompletedTasks = n, n, n
	}
}

func (w *world) input(a args) Input {
	switch a.word(0) {
	case "detect":
		return MasterDetected{Master: ids.UPID(strings.TrimPrefix(a.word(1), "none"))}
	case "exited":
		return MasterExited{Master: master}
	case "authenticated":
		return MasterAuthenticated{Master: master, Refused: a.has("refused")}
	case "ping":
		return MasterMessage{From: "slave-observer(1)@10.0.0.1:5050", Message: &messages.PingSlaveMessage{Connected: new(!a.has("disconnected"))}}
	case "subscribe":
		return w.subscribe(a)
	case "update":
		c := w.call(a, executorpb.Call_UPDATE)
		c.Update = &executorpb.Call_Update{Status: w.status(a, a.word(3), a.word(4), a.opts["uuid"])}
		return ExecutorCall{Request: 9, By: w.by(a), Call: c}
	case "say":
		c := w.call(a, executorpb.Call_MESSAGE)
		c.Message = &executorpb.Call_Message{Data: []byte(a.word(3))}
		return ExecutorCall{Request: 9, By: w.by(a), Call: c}
	case "beat":
		return ExecutorCall{Request: 9, By: w.by(a), Call: w.call(a, executorpb.Call_HEARTBEAT)}
	case "closed":
		n, _ := strconv.Atoi(a.word(1))
		return ExecutorClosed{Conn: ConnID(n)}
	case "ready":
		return ContainerReady{Container: w.container(a.word(1))}
	case "networks":
		return ContainerNetworks{Container: w.container(a.word(1)), ByExecutor: a.opts["by"] == "executor", Networks: []*mesos.NetworkInfo{{
			Name: new(a.word(2)), IpAddresses: []*mesos.NetworkInfo_IPAddress{{IpAddress: new(a.word(3))}},
		}}}
	case "class":
		n, _ := strconv.ParseUint(a.word(2), 0, 32)
		return ContainerClass{Container: w.container(a.word(1)), Class: uint32(n)}
	case "launched":
		n, _ := strconv.Atoi(a.word(2))
		return ContainerLaunched{Container: w.container(a.word(1)), PID: n}
	case "failed":
		return ContainerFailed{Container: w.container(a.word(1)), Message: strings.Join(a.words[2:], " ")}
	case "ended":
		n, err := strconv.Atoi(a.word(2))
		e := ContainerExited{Container: w.container(a.word(1)), Status: int32(n), Known: err == nil}
		if a.opts["limit"] != "" {
			e.Limited = &Limitation{Reason: mesos.TaskStatus_REASON_CONTAINER_LIMITATION_MEMORY, Message: "Memory limit exceeded", Resources: resources.MustParse(a.opts["limit"]).Proto()}
		}
		return e
	case "disk":
		v, _ := strconv.ParseFloat(a.word(1), 64)
		return DiskUsage{Used: v}
	case "unregister":
		return Unregister{Message: "Received SIGUSR1 signal"}
	}
	if m := w.message(a); m != nil {
		over, _ := strconv.ParseUint(a.opts["over"], 10, 64)
		return MasterMessage{From: ids.UPID(or(a.opts["from"], master)), Over: over, Message: m}
	}
	return nil
}

// message returns the message of a master.
func (w *world) message(a args) proto.Message {
	conn := &messages.MasterSlaveConnection{TotalPingTimeoutSeconds: proto.Float64(75)}
	agent := &mesos.AgentID{Value: new(or(a.opts["id"], "m-S0"))}
	switch a.word(0) {
	case "registered":
		return &messages.SlaveRegisteredMessage{SlaveId: agent, Connection: conn}
	case "reregistered":
		m := &messages.SlaveReregisteredMessage{SlaveId: agent, Connection: conn}
		if f, t, ok := strings.Cut(a.opts["lost"], "/"); ok {
			m.Reconciliations = []*messages.ReconcileTasksMessage{{FrameworkId: fid(f), Framework: w.frameworks[f], Statuses: []*mesos.TaskStatus{{TaskId: tid(t), State: mesos.TaskState_TASK_RUNNING.Enum()}}}}
		}
		return m
	case "run":
		return w.run(a)
	case "kill":
		m := &messages.KillTaskMessage{FrameworkId: fid(a.word(1)), TaskId: tid(a.word(2))}
		if g := a.opts["grace"]; g != "" {
			m.KillPolicy = policy(g)
		}
		return m
	case "ack":
		return &messages.StatusUpdateAcknowledgementMessage{SlaveId: agent, FrameworkId: fid(a.word(1)), TaskId: tid(a.word(2)), Uuid: w.uuidBytes(a.word(3))}
	case "shutdown-executor":
		return &messages.ShutdownExecutorMessage{FrameworkId: fid(a.word(1)), ExecutorId: xid(a.word(2))}
	case "shutdown-framework":
		return &messages.ShutdownFrameworkMessage{FrameworkId: fid(a.word(1))}
	case "shutdown":
		return &messages.ShutdownMessage{Message: new("go")}
	case "update-framework":
		return &messages.UpdateFrameworkMessage{FrameworkId: fid(a.word(1)), Pid: new(noDriver), FrameworkInfo: w.frameworks[a.word(1)]}
	case "tell":
		return &messages.FrameworkToExecutorMessage{SlaveId: agent, FrameworkId: fid(a.word(1)), ExecutorId: xid(a.word(2)), Data: []byte(a.word(3))}
	case "drain":
		m := &messages.DrainSlaveMessage{Config: &mesos.DrainConfig{MarkGone: new(a.has("gone"))}}
		if g := a.opts["grace"]; g != "" {
			m.Config.MaxGracePeriod = policy(g).GetGracePeriod()
		}
		return m
	case "reserve":
		op := &mesos.Offer_Operation{Type: mesos.Offer_Operation_RESERVE.Enum(), Reserve: &mesos.Offer_Operation_Reserve{Resources: reservedDisk(a, false)}}
		return w.operation(op, a)
	case "create":
		op := &mesos.Offer_Operation{Type: mesos.Offer_Operation_CREATE.Enum(), Create: &mesos.Offer_Operation_Create{Volumes: reservedDisk(a, true)}}
		return w.operation(op, a)
	case "destroy":
		op := &mesos.Offer_Operation{Type: mesos.Offer_Operation_DESTROY.Enum(), Destroy: &mesos.Offer_Operation_Destroy{Volumes: reservedDisk(a, true)}}
		return w.operation(op, a)
	case "unreserve":
		op := &mesos.Offer_Operation{Type: mesos.Offer_Operation_UNRESERVE.Enum(), Unreserve: &mesos.Offer_Operation_Unreserve{Resources: reservedDisk(a, false)}}
		return w.operation(op, a)
	case "refine": // a reservation becomes one of a role below, in place of what it was
		op := &mesos.Offer_Operation{Type: mesos.Offer_Operation_RESERVE.Enum(), Reserve: &mesos.Offer_Operation_Reserve{Source: reservedDisk(a, false), Resources: reservedDisk(a, false)}}
		op.Reserve.Resources[0].Reservations[0].Role = new(a.opts["to"])
		return w.operation(op, a)
	case "grow":
		op := &mesos.Offer_Operation{Type: mesos.Offer_Operation_GROW_VOLUME.Enum(), GrowVolume: &mesos.Offer_Operation_GrowVolume{Volume: reservedDisk(a, true)[0], Addition: reservedDisk(args{opts: map[string]string{"disk": a.opts["by"]}}, false)[0]}}
		return w.operation(op, a)
	case "shrink":
		by, _ := strconv.ParseFloat(a.opts["by"], 64)
		op := &mesos.Offer_Operation{Type: mesos.Offer_Operation_SHRINK_VOLUME.Enum(), ShrinkVolume: &mesos.Offer_Operation_ShrinkVolume{Volume: reservedDisk(a, true)[0], Subtract: &mesos.Value_Scalar{Value: &by}}}
		return w.operation(op, a)
	case "ack-operation":
		return &messages.AcknowledgeOperationStatusMessage{OperationUuid: &mesos.UUID{Value: w.uuidBytes(a.word(1))}, StatusUuid: &mesos.UUID{Value: w.uuidBytes(a.word(2))}}
	case "reconcile-operation":
		return &messages.ReconcileOperationsMessage{Operations: []*messages.ReconcileOperationsMessage_Operation{{OperationUuid: &mesos.UUID{Value: w.uuidBytes(a.word(1))}}}}
	}
	return nil
}

func (w *world) operation(op *mesos.Offer_Operation, a args) proto.Message {
	return &messages.ApplyOperationMessage{
		OperationInfo: op, OperationUuid: &mesos.UUID{Value: w.uuidBytes(a.opts["uuid"])},
		ResourceVersionUuid: &messages.ResourceVersionUUID{Uuid: &mesos.UUID{Value: w.a.version}},
	}
}

func reservedDisk(a args, volume bool) []*mesos.Resource {
	r := resources.MustParse("disk:" + or(a.opts["disk"], "64")).Proto()[0]
	r.Reservations = []*mesos.Resource_ReservationInfo{{Type: mesos.Resource_ReservationInfo_DYNAMIC.Enum(), Role: new("eng"), Principal: new("prin")}}
	if volume {
		r.Disk = &mesos.Resource_DiskInfo{
			Persistence: &mesos.Resource_DiskInfo_Persistence{Id: new("vol1")},
			Volume:      &mesos.Volume{ContainerPath: new("data"), Mode: mesos.Volume_RW.Enum()},
		}
	}
	return []*mesos.Resource{r}
}

// effects prints what is to be done, in the order of a careful shell, and puts
// the records on the disk.
func (w *world) effects(out *strings.Builder) {
	fx := w.a.Effects()
	for _, m := range fx.Messages {
		fmt.Fprintf(out, "now %s\n", w.printMessage(m))
	}
	for _, r := range fx.Persist {
		w.disk.Apply(r)
		fmt.Fprintf(out, "persist %s\n", w.printRecord(r))
	}
	for _, c := range fx.Containers {
		fmt.Fprintf(out, "%s\n", w.printAction(c))
	}
	for _, m := range fx.Deferred {
		fmt.Fprintf(out, "%s\n", w.printMessage(m))
	}
	if fx.Fatal != nil {
		fmt.Fprintf(out, "fatal %v\n", fx.Fatal)
	}
	if fx.Done {
		out.WriteString("done\n")
	}
}

func (w *world) printRecord(r meta.Record) string {
	run := func(r meta.Run) string { return fmt.Sprintf("%s/%s/%s", r.Framework, r.Executor, w.short(r.Container)) }
	switch r := r.(type) {
	case meta.Boot:
		return "boot " + r.ID
	case meta.Agent:
		return fmt.Sprintf("agent %s %s", r.Info.GetId().GetValue(), resources.TextAll(r.Info.GetResources()))
	case meta.Forget:
		return "forget"
	case meta.Framework:
		return fmt.Sprintf("framework %s %s", r.Info.GetId().GetValue(), r.PID)
	case meta.Executor:
		return fmt.Sprintf("executor %s generated %t", run(r.Run), r.Generated)
	case meta.ForkedPID:
		return fmt.Sprintf("pid %s %d", run(r.Run), r.PID)
	case meta.Connected:
		return fmt.Sprintf("connected %s %s", run(r.Run), or(string(r.Driver), "http"))
	case meta.Task:
		return fmt.Sprintf("task %s %s %s", run(r.Run), r.Task.GetTaskId().GetValue(), r.Task.GetState())
	case meta.Update:
		if r.Record.GetType() == messages.StatusUpdateRecord_ACK {
			return fmt.Sprintf("ack %s %s %s", run(r.Run), r.Task, w.uuid(r.Record.GetUuid()))
		}
		return fmt.Sprintf("update %s %s", run(r.Run), w.printStatus(r.Record.GetUpdate().GetStatus()))
	case meta.Ended:
		return "ended " + run(r.Run)
	case meta.Resources:
		return fmt.Sprintf("resources %s operations %d", resources.TextAll(r.State.GetResources()), len(r.State.GetOperations()))
	case meta.Drain:
		return fmt.Sprintf("drain %v", r.Config != nil)
	}
	return fmt.Sprintf("%T", r)
}

func (w *world) printStatus(st *mesos.TaskStatus) string {
	s := fmt.Sprintf("%s %s %s", st.GetTaskId().GetValue(), st.GetState(), w.uuid(st.GetUuid()))
	if st.Reason != nil {
		s += " " + st.GetReason().String()
	}
	if st.Message != nil {
		s += fmt.Sprintf(" %q", st.GetMessage())
	}
	if c := st.GetContainerStatus(); c != nil {
		s += fmt.Sprintf(" in %s pid %d at %s", w.short(ids.ContainerID(c.GetContainerId().GetValue())), c.GetExecutorPid(), c.GetNetworkInfos()[0].GetIpAddresses()[0].GetIpAddress())
	}
	if class := st.GetContainerStatus().GetCgroupInfo().GetNetCls().GetClassid(); class != 0 {
		s += fmt.Sprintf(" class %#x", class)
	}
	if l := st.GetLimitation(); l != nil {
		s += " limit " + resources.TextAll(l.GetResources())
	}
	return s
}

func (w *world) printAction(c ContainerAction) string {
	switch c := c.(type) {
	case Launch:
		s := c.Spec
		line := fmt.Sprintf("launch %s builtin %d user %q in %s resources %s limits %d", w.short(s.Run.Container), s.Builtin, s.User, w.path(s.Sandbox), resources.TextAll(s.Resources), len(s.Limits))
		if s.Container != nil {
			line += fmt.Sprintf(" as %s, told as %s", s.Container.GetHostname(), s.Executor.GetContainer().GetHostname())
		}
		return line
	case Adopt:
		return fmt.Sprintf("adopt %s builtin %d pid %d task %q", w.short(c.Spec.Run.Container), c.Spec.Builtin, c.PID, c.Spec.Task.GetTaskId().GetValue())
	case Update:
		return fmt.Sprintf("resize %s to %s", w.short(c.Container), c.Resources)
	case Destroy:
		return "destroy " + w.short(c.Container)
	case Remove:
		short := make([]string, len(c.Paths))
		for i, p := range c.Paths {
			short[i] = w.path(p)
		}
		return "remove " + strings.Join(short, " ")
	case RemoveVolume:
		return "remove volume " + w.path(c.Path)
	case EmptyVolume:
		return "empty volume " + c.Path
	case MakeVolume:
		return "make volume " + c.Path
	}
	return fmt.Sprintf("%T", c)
}

// path shortens the names of containers in a path.
func (w *world) path(p string) string {
	parts := strings.Split(p, "/")
	for i, s := range parts {
		parts[i] = w.short(ids.ContainerID(s))
	}
	return strings.Join(parts, "/")
}

func (w *world) printMessage(m Message) string {
	switch m := m.(type) {
	case ToProcess:
		return fmt.Sprintf("to %s: %s", m.To.Process(), w.printProto(m.Message))
	case Link:
		return "link " + string(m.To)
	case Drop:
		return "drop the link to " + string(m.To)
	case Authenticate:
		return "authenticate to " + string(m.To)
	case ToExecutor:
		return fmt.Sprintf("event %d: %s", m.Conn, w.printEvent(m.Event))
	case CloseExecutor:
		return fmt.Sprintf("close %d", m.Conn)
	case Reply:
		if m.Err != nil {
			return "refuse: " + m.Err.Error()
		}
		return "accepted"
	}
	return fmt.Sprintf("%T", m)
}

func (w *world) printEvent(ev *executorpb.Event) string {
	s := ev.GetType().String()
	switch ev.GetType() {
	case executorpb.Event_LAUNCH:
		s += " " + ev.GetLaunch().GetTask().GetTaskId().GetValue()
	case executorpb.Event_LAUNCH_GROUP:
		for _, t := range ev.GetLaunchGroup().GetTaskGroup().GetTasks() {
			s += " " + t.GetTaskId().GetValue()
		}
	case executorpb.Event_KILL:
		s += " " + ev.GetKill().GetTaskId().GetValue()
		if p := ev.GetKill().GetKillPolicy(); p != nil {
			s += " grace " + time.Duration(p.GetGracePeriod().GetNanoseconds()).String()
		}
	case executorpb.Event_ACKNOWLEDGED:
		s += fmt.Sprintf(" %s %s", ev.GetAcknowledged().GetTaskId().GetValue(), w.uuid(ev.GetAcknowledged().GetUuid()))
	case executorpb.Event_MESSAGE:
		s += " " + string(ev.GetMessage().GetData())
	case executorpb.Event_SUBSCRIBED:
		s += " in " + w.short(ids.ContainerID(ev.GetSubscribed().GetContainerId().GetValue()))
	default:
	}
	return s
}

func (w *world) printProto(m proto.Message) string {
	name := string(m.ProtoReflect().Descriptor().Name())
	switch m := m.(type) {
	case *messages.StatusUpdateMessage:
		s := w.printStatus(m.GetUpdate().GetStatus())
		if m.GetUpdate().LatestState != nil {
			s += " latest " + m.GetUpdate().GetLatestState().String()
		}
		return name + " " + s
	case *messages.ReregisterSlaveMessage:
		s := fmt.Sprintf("%s frameworks %d completed %d", name, len(m.GetFrameworks()), len(m.GetCompletedFrameworks()))
		for _, t := range m.GetTasks() {
			s += fmt.Sprintf(" %s:%s", t.GetTaskId().GetValue(), t.GetState())
		}
		for _, x := range m.GetExecutorInfos() {
			s += " executor " + x.GetExecutorId().GetValue()
		}
		if rs := m.GetCheckpointedResources(); len(rs) > 0 {
			s += " reserved " + resources.TextAll(rs)
		}
		return s
	case *messages.ExitedExecutorMessage:
		return fmt.Sprintf("%s %s %s status %d", name, m.GetFrameworkId().GetValue(), m.GetExecutorId().GetValue(), m.GetStatus())
	case *messages.ExecutorToFrameworkMessage:
		return fmt.Sprintf("%s %s", name, m.GetData())
	case *messages.UpdateOperationStatusMessage:
		return fmt.Sprintf("%s %s %s status %s %s", name, w.uuid(m.GetOperationUuid().GetValue()), m.GetStatus().GetState(), w.uuid(m.GetStatus().GetUuid().GetValue()), m.GetStatus().GetMessage())
	case *messages.RegisterSlaveMessage:
		return fmt.Sprintf("%s %s", name, resources.TextAll(m.GetSlave().GetResources()))
	}
	return name
}

// show prints what readers see.
func (w *world) show(out *strings.Builder) {
	s := w.a.Snapshot()
	fmt.Fprintf(out, "agent %s\n", s.State)
	var lines []string
	for f := range s.Frameworks.All() {
		lines = append(lines, fmt.Sprintf("1 framework %s completed %t", f.Info.GetId().GetValue(), f.Completed))
	}
	for x := range s.Executors.All() {
		lines = append(lines, fmt.Sprintf("2 executor %s %s %s pid %d completed %t", x.Run.Executor, w.short(x.Run.Container), x.State, x.PID, x.Completed))
	}
	for t := range s.Tasks.All() {
		states := ""
		for _, st := range t.Task.GetStatuses() {
			states += " " + st.GetState().String()
		}
		lines = append(lines, fmt.Sprintf("3 task %s phase %d%s", t.Task.GetTaskId().GetValue(), t.Phase, states))
	}
	slices.Sort(lines)
	for _, l := range lines {
		fmt.Fprintf(out, "%s\n", l[2:])
	}
	c := s.Counters
	fmt.Fprintf(out, "valid %d invalid %d terminated %d ended", c.ValidStatusUpdates, c.InvalidStatusUpdates, c.ExecutorsTerminated)
	for _, st := range slices.Sorted(maps.Keys(c.TasksEnded)) {
		fmt.Fprintf(out, " %s:%d", st, c.TasksEnded[st])
	}
	out.WriteString("\n")
}
