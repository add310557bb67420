package master

import (
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/validate"
)

// TestHostile sends the master anything that passes the edges: messages and
// calls that are well formed and make little sense, about things that exist,
// from whoever likes. Nothing may break an invariant.
func TestHostile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(DefaultConfig())
		w.register(w.addAgent("a1", "cpus:4;mem:1024;disk:64;ports:[1-9]", "h"), "1.11.0")
		old := w.addAgent("a2", "cpus:2;mem:512;disk(dev):8", "h")
		old.caps = nil
		w.register(old, "1.11.0")
		for _, name := range []string{"f1", "f2"} {
			f := &testFramework{name: name, info: &mesos.FrameworkInfo{
				User: new("u"), Name: new(name), Role: new("dev"), FailoverTimeout: new(100.0),
			}}
			if name == "f1" {
				c := mesos.FrameworkInfo_Capability_RESERVATION_REFINEMENT
				f.info.Capabilities = append(f.info.Capabilities, &mesos.FrameworkInfo_Capability{Type: &c})
			}
			w.frameworks[name] = f
			w.subscribe(f, &schedulerpb.Call_Subscribe{})
		}
		h := &history{t: t, w: w}
		h.accept()
		h.progress()
		for range rapid.IntRange(1, 60).Draw(t, "inputs") {
			if in := anyInput(t, w); in != nil {
				w.step(in)
			}
			w.out.Reset()
		}
		w.advance(time.Hour)
	})
}

func anyInput(t *rapid.T, w *world) Input {
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0, 1, 2:
		msg := rapid.SampledFrom(agentMessages).Draw(t, "message").ProtoReflect().New()
		fill(t, msg, 0)
		if proto.CheckInitialized(msg.Interface()) != nil {
			return nil
		}
		return AgentMessage{
			From:    ids.UPID(rapid.SampledFrom(pids).Draw(t, "from")),
			To:      rapid.SampledFrom([]string{"master", "slave-observer(1)", "slave-observer(99)", "slave-observer(x"}).Draw(t, "to"),
			Message: msg.Interface(),
		}
	case 3, 4, 5, 6:
		call := &schedulerpb.Call{}
		fill(t, call.ProtoReflect(), 0)
		f := w.frameworks[rapid.SampledFrom([]string{"f1", "f2"}).Draw(t, "framework")]
		call.FrameworkId = frameworkID(f.id)
		if proto.CheckInitialized(call) != nil || validate.SchedulerCall(call, "") != nil ||
			call.GetType() == schedulerpb.Call_SUBSCRIBE {
			return nil
		}
		return SchedulerCall{
			Request: 1, Peer: f.peer, Call: call, Constraints: w.m.cfg.Compile(call.GetUpdateFramework().GetOfferConstraints()),
		}
	case 7:
		call := &schedulerpb.Call_Subscribe{}
		fill(t, call.ProtoReflect(), 0)
		if proto.CheckInitialized(call) != nil {
			return nil
		}
		w.conns++
		peer := Peer{Conn: w.conns, StreamID: "s"}
		if rapid.Bool().Draw(t, "driver") {
			peer = Peer{Driver: ids.UPID(rapid.SampledFrom(pids).Draw(t, "pid"))}
		}
		return Subscribe{Peer: peer, Call: call, Constraints: w.m.cfg.Compile(call.OfferConstraints), Force: rapid.Bool().Draw(t, "force")}
	case 8:
		call := &masterpb.Call{}
		fill(t, call.ProtoReflect(), 0)
		if proto.CheckInitialized(call) != nil || validate.MasterCall(call) != nil {
			return nil
		}
		return OperatorCall{Request: 1, Call: call}
	default:
		return rapid.SampledFrom([]Input{
			Exited{"10.0.0.1:5051"},
			Exited{"nowhere"},
			PeerClosed{1},
			PeerClosed{2},
			PeerClosed{77},
			Tick{},
			DriverStopped{Driver: "slave(1)@10.0.0.1:5051", Framework: "m1-0000"},
		}).Draw(t, "input")
	}
}

var agentMessages = []proto.Message{
	&messages.RegisterSlaveMessage{}, &messages.ReregisterSlaveMessage{}, &messages.ReregisterSlaveMessage{},
	&messages.PongSlaveMessage{}, &messages.UnregisterSlaveMessage{}, &messages.UpdateSlaveMessage{},
	&messages.StatusUpdateMessage{}, &messages.StatusUpdateMessage{}, &messages.ExitedExecutorMessage{},
	&messages.ExecutorToFrameworkMessage{}, &messages.UpdateOperationStatusMessage{}, &messages.ShutdownMessage{},
}

var pids = []string{"slave(1)@10.0.0.1:5051", "slave(1)@10.0.0.2:5051", "slave(1)@10.0.0.1:9", "x@10.0.0.3:1"}

// words are what texts are made of: names of things that exist, and others.
var words = []string{
	"m1-0000", "m1-0001", "m1-S0", "m1-S1", "m1-O0", "m1-O1", "m1-O2", "m1-O3", "t1", "t2", "e1", "*", "dev", "dev/x",
	"cpus", "mem", "disk", "ports", "h", "1.11.0", "u", "", "..", "a b", "slave(1)@10.0.0.1:5051",
}

// fill sets fields at random; required ones always, and what names things to
// what there is.
func fill(t *rapid.T, m protoreflect.Message, depth int) {
	if rapid.IntRange(0, 9).Draw(t, "sense") > 0 && sensible(t, m, depth) {
		return
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		rare := 2
		if depth > 2 {
			rare = 6
		}
		if f.Cardinality() != protoreflect.Required && rapid.IntRange(0, rare).Draw(t, "set "+string(f.Name())) != 0 {
			continue
		}
		switch {
		case depth > 6 && f.Kind() == protoreflect.MessageKind && f.Cardinality() != protoreflect.Required:
		case f.IsMap():
		case f.IsList():
			list := m.Mutable(f).List()
			for range rapid.IntRange(1, 2).Draw(t, "length") {
				if f.Kind() == protoreflect.MessageKind {
					fill(t, list.AppendMutable().Message(), depth+1)
				} else {
					list.Append(anyValue(t, f))
				}
			}
		case f.Kind() == protoreflect.MessageKind:
			fill(t, m.Mutable(f).Message(), depth+1)
		default:
			m.Set(f, anyValue(t, f))
		}
	}
}

// names are what the messages for IDs have, mostly.
var names = map[protoreflect.FullName][]string{
	"mesos.v1.AgentID":     {"m1-S0", "m1-S1"},
	"mesos.v1.FrameworkID": {"m1-0000", "m1-0001"},
	"mesos.v1.OfferID":     {"m1-O0", "m1-O1", "m1-O2", "m1-O3", "m1-O4", "m1-O5", "m1-O6"},
	"mesos.v1.TaskID":      {"t1", "t2", "t3"},
	"mesos.v1.ExecutorID":  {"e1", "e2"},
	"mesos.v1.OperationID": {"o1"},
}

// sensible makes messages of some kinds such that the master gets somewhere
// with them; it reports whether it did.
func sensible(t *rapid.T, m protoreflect.Message, depth int) bool {
	if ids := names[m.Descriptor().FullName()]; ids != nil {
		m.Set(m.Descriptor().Fields().ByName("value"), protoreflect.ValueOfString(rapid.SampledFrom(ids).Draw(t, "ID")))
		return true
	}
	switch msg := m.Interface().(type) {
	case *mesos.Resource:
		sensibleResource(t, msg)
	case *mesos.FrameworkInfo:
		msg.User, msg.Name, msg.Role = new("u"), new("n"), new("dev")
		msg.Id = frameworkID(ids.FrameworkID(rapid.SampledFrom([]string{"m1-0000", "m1-0001", "mine"}).Draw(t, "framework")))
	case *mesos.AgentInfo:
		msg.Hostname = new("h")
		msg.Id = agentID(ids.AgentID(rapid.SampledFrom([]string{"m1-S0", "m1-S1", "other"}).Draw(t, "agent")))
		fill(t, m.Mutable(m.Descriptor().Fields().ByName("resources")).List().AppendMutable().Message(), depth+1)
	case *messages.ReregisterSlaveMessage:
		fields := m.Descriptor().Fields()
		fill(t, m.Mutable(fields.ByName("slave")).Message(), depth+1)
		msg.Version = new("1.11.0")
		for _, id := range []ids.FrameworkID{"m1-0000", "m1-0001", "other"} {
			msg.Frameworks = append(msg.Frameworks, &mesos.FrameworkInfo{
				User: new("u"), Name: new("n"), Id: frameworkID(id), Role: new("dev"),
			})
		}
		for range rapid.IntRange(0, 2).Draw(t, "tasks") {
			fill(t, m.Mutable(fields.ByName("tasks")).List().AppendMutable().Message(), depth+1)
		}
		if rapid.Bool().Draw(t, "executor") {
			e := testExecutor("e1", "cpus(x):0.1;mem:32")
			e.FrameworkId, e.Command = frameworkID("m1-0000"), &mesos.CommandInfo{Value: new("run")}
			msg.ExecutorInfos = append(msg.ExecutorInfos, e)
		}
	case *mesos.TaskInfo:
		one := testTask(rapid.SampledFrom(names["mesos.v1.TaskID"]).Draw(t, "task"), "cpus:0.5;mem:32",
			agentID(ids.AgentID(rapid.SampledFrom(names["mesos.v1.AgentID"]).Draw(t, "agent"))))
		if rapid.Bool().Draw(t, "executor") {
			one.Command = nil
			one.Executor = testExecutor("e1", "cpus:0.1;mem:32")
			one.Executor.Command = &mesos.CommandInfo{Value: new("run")}
		}
		proto.Merge(msg, one)
	case *mesos.Task:
		msg.Name, msg.TaskId = new("t"), taskID(ids.TaskID(rapid.SampledFrom(names["mesos.v1.TaskID"]).Draw(t, "task")))
		msg.FrameworkId, msg.AgentId = frameworkID("m1-0000"), agentID("m1-S0")
		msg.State = mesos.TaskState(rapid.IntRange(0, 12).Draw(t, "state")).Enum()
		fill(t, m.Mutable(m.Descriptor().Fields().ByName("resources")).List().AppendMutable().Message(), depth+1)
	case *mesos.CommandInfo:
		msg.Value = new("true")
	case *mesos.ContainerInfo:
		msg.Type = mesos.ContainerInfo_MESOS.Enum()
	case *mesos.Labels, *mesos.HealthCheck, *mesos.CheckInfo, *mesos.DiscoveryInfo:
	default:
		return union(t, m, depth)
	}
	return true
}

func sensibleResource(t *rapid.T, r *mesos.Resource) {
	r.Name = new(rapid.SampledFrom([]string{"cpus", "mem", "disk"}).Draw(t, "name"))
	r.Type = mesos.Value_SCALAR.Enum()
	r.Scalar = &mesos.Value_Scalar{Value: new(rapid.SampledFrom([]float64{0.5, 1, 32}).Draw(t, "amount"))}
	if rapid.IntRange(0, 2).Draw(t, "reserved") == 0 {
		r.Reservations = dynamic("cpus(dev):1")[0].Reservations
		if r.GetName() == "disk" && rapid.Bool().Draw(t, "volume") {
			r.Disk = volumes("disk(dev):1", []string{"v"})[0].Disk
		}
	}
	if len(r.Reservations) > 0 && rapid.IntRange(0, 3).Draw(t, "refined") == 0 {
		r.Reservations = append(r.Reservations, &mesos.Resource_ReservationInfo{
			Type: mesos.Resource_ReservationInfo_DYNAMIC.Enum(), Role: new("dev/x"),
		})
	}
	if rapid.IntRange(0, 3).Draw(t, "allocated") == 0 {
		r.AllocationInfo = &mesos.Resource_AllocationInfo{Role: new("dev")}
	}
}

// union fills a message whose type says which of its fields it has.
func union(t *rapid.T, m protoreflect.Message, depth int) bool {
	fields := m.Descriptor().Fields()
	f := fields.ByName("type")
	if f == nil || f.Kind() != protoreflect.EnumKind {
		return false
	}
	values := f.Enum().Values()
	v := values.Get(rapid.IntRange(0, values.Len()-1).Draw(t, "type"))
	of := fields.ByName(protoreflect.Name(strings.ToLower(string(v.Name()))))
	if of == nil || of.Kind() != protoreflect.MessageKind {
		return false
	}
	m.Set(f, protoreflect.ValueOfEnum(v.Number()))
	fill(t, m.Mutable(of).Message(), depth+1)
	if id := fields.ByName("id"); id != nil && id.Kind() == protoreflect.MessageKind && rapid.IntRange(0, 3).Draw(t, "has ID") == 0 {
		fill(t, m.Mutable(id).Message(), depth+1)
	}
	return true
}

func anyValue(t *rapid.T, f protoreflect.FieldDescriptor) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(rapid.SampledFrom(words).Draw(t, "text"))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(rapid.SampledFrom([]string{"", "1               ", "2               "}).Draw(t, "bytes")))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(rapid.Bool().Draw(t, "bool"))
	case protoreflect.EnumKind:
		values := f.Enum().Values()
		return protoreflect.ValueOfEnum(values.Get(rapid.IntRange(0, values.Len()-1).Draw(t, "enum")).Number())
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(rapid.SampledFrom([]float64{0, 0.5, 1, 4, -1, 1e300, math.NaN(), math.Inf(1), math.Inf(-1)}).Draw(t, "double"))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(rapid.SampledFrom([]float32{0, 1, -1}).Draw(t, "float"))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(rapid.SampledFrom([]int32{0, 1, -1}).Draw(t, "int32"))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(rapid.SampledFrom([]int64{0, 1, -1, 1 << 62}).Draw(t, "int64"))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(rapid.SampledFrom([]uint32{0, 1}).Draw(t, "uint32"))
	default:
		return protoreflect.ValueOfUint64(rapid.SampledFrom([]uint64{0, 1, 5, 1 << 63}).Draw(t, "uint64"))
	}
}
