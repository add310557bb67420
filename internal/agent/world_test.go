package agent

import (
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/meta"
	"github.com/meseta-project/meseta/resources"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const (
	master = "master@10.0.0.1:5050"
	self   = "slave(1)@10.0.0.2:5051"
)

// world is an agent with a disk that forgets nothing, frameworks, and short
// names for what the agent draws at random.
type world struct {
	a          *Agent
	now        time.Time
	cfg        Config
	disk       meta.State
	frameworks map[string]*mesos.FrameworkInfo
	containers []ids.ContainerID // c1, c2, … in order of appearance
	uuids      []string          // u1, u2, …
	lastUpdate map[string][]byte // task → uuid of the update sent last
}

func newWorld() *world {
	return &world{
		now: epoch,
		cfg: Config{
			Info: &mesos.AgentInfo{
				Hostname: new("agent1.test"), Port: proto.Int32(5051), Checkpoint: new(true),
				Resources: resources.MustParse("cpus:4;mem:4096;disk:8192;ports:[31000-32000]").Proto(),
			},
			PID: self, Version: "1.11.0", WorkDir: "/w", LauncherDir: "/usr/libexec/mesos", BootID: "boot1", SwitchUser: true,
			Environment: []Variable{{"LIBPROCESS_IP", "10.0.0.2"}},
		},
		frameworks: map[string]*mesos.FrameworkInfo{}, lastUpdate: map[string][]byte{},
	}
}

// start makes a new life of the agent on the same disk.
func (w *world) start(running []ids.ContainerID) {
	w.a = New(w.cfg, Deps{Rand: rand.New(rand.NewPCG(uint64(len(w.uuids)), uint64(w.now.UnixNano()))), Log: slog.New(slog.DiscardHandler)})
	disk := w.disk
	w.a.Recover(w.now, &disk, running)
}

func (w *world) step(in Input) { w.a.Step(w.now, in) }

// args are the words of a line: plain ones in order, and key=value ones.
type args struct {
	words []string
	opts  map[string]string
}

func parse(line string) args {
	a := args{opts: map[string]string{}}
	for f := range strings.FieldsSeq(line) {
		if k, v, ok := strings.Cut(f, "="); ok {
			a.opts[k] = v
			continue
		}
		a.words = append(a.words, f)
	}
	return a
}

func (a args) word(i int) string {
	if i < len(a.words) {
		return a.words[i]
	}
	return ""
}

func (a args) has(w string) bool { return slices.Contains(a.words, w) }

// framework returns the info of a framework by its short name.
func (w *world) framework(a args) {
	caps := map[string]mesos.FrameworkInfo_Capability_Type{
		"pa": mesos.FrameworkInfo_Capability_PARTITION_AWARE, "killing": mesos.FrameworkInfo_Capability_TASK_KILLING_STATE,
	}
	f := &mesos.FrameworkInfo{User: new("root"), Name: new(a.word(1)), Id: fid(a.word(1)), Checkpoint: new(a.has("ck"))}
	for _, c := range a.words[2:] {
		if t, ok := caps[c]; ok {
			f.Capabilities = append(f.Capabilities, &mesos.FrameworkInfo_Capability{Type: t.Enum()})
		}
	}
	w.frameworks[a.word(1)] = f
}

func fid(s string) *mesos.FrameworkID { return &mesos.FrameworkID{Value: &s} }
func xid(s string) *mesos.ExecutorID  { return &mesos.ExecutorID{Value: &s} }
func tid(s string) *mesos.TaskID      { return &mesos.TaskID{Value: &s} }

// task returns a task of "run F T …".
func (w *world) task(name string, a args) *mesos.TaskInfo {
	t := &mesos.TaskInfo{
		Name: &name, TaskId: tid(name), AgentId: &mesos.AgentID{Value: new(or(a.opts["agent"], string(w.a.id())))},
		Resources: resources.MustParse(or(a.opts["resources"], "cpus:1;mem:64")).AllocatedTo("*").Proto(),
	}
	if v := a.opts["cpulimit"]; v != "" {
		n, _ := strconv.ParseFloat(v, 64)
		t.Limits = map[string]*mesos.Value_Scalar{"cpus": {Value: &n}}
	}
	if v := a.opts["container"]; v != "" {
		t.Container = &mesos.ContainerInfo{Type: mesos.ContainerInfo_MESOS.Enum(), Hostname: &v}
	}
	if v := a.opts["grace"]; v != "" {
		t.KillPolicy = policy(v)
	}
	switch x := a.opts["executor"]; x {
	case "":
		t.Command = &mesos.CommandInfo{Value: new(or(a.opts["command"], "true")), Shell: new(true)}
	default:
		t.Executor = w.executor(a.word(1), x)
	}
	return t
}

func (w *world) executor(f, x string) *mesos.ExecutorInfo {
	return &mesos.ExecutorInfo{
		ExecutorId: xid(x), FrameworkId: fid(f), Command: &mesos.CommandInfo{Value: new("./" + x)},
		Resources: resources.MustParse("cpus:0.1;mem:32").AllocatedTo("*").Proto(),
	}
}

func policy(s string) *mesos.KillPolicy {
	return &mesos.KillPolicy{GracePeriod: &mesos.DurationInfo{Nanoseconds: new(int64(mustDuration(s)))}}
}

// run returns the message of "run F T[+T…] [executor=X] [launch=…]".
func (w *world) run(a args) proto.Message {
	names := strings.Split(a.word(2), "+")
	version := w.a.version
	if a.opts["version"] != "" {
		version = []byte("another version!")
	}
	versions := []*messages.ResourceVersionUUID{{Uuid: &mesos.UUID{Value: version}}}
	var launch *bool
	if l := or(a.opts["launch"], "true"); l != "-" {
		launch = new(l == "true")
	}
	if len(names) == 1 && a.opts["group"] == "" {
		return &messages.RunTaskMessage{
			Framework: w.frameworks[a.word(1)], Pid: new(noDriver), Task: w.task(names[0], a),
			ResourceVersionUuids: versions, LaunchExecutor: launch,
		}
	}
	g := &mesos.TaskGroupInfo{}
	for _, n := range names {
		g.Tasks = append(g.Tasks, w.task(n, a))
	}
	return &messages.RunTaskGroupMessage{
		Framework: w.frameworks[a.word(1)], Executor: w.executor(a.word(1), a.opts["executor"]), TaskGroup: g,
		ResourceVersionUuids: versions, LaunchExecutor: launch,
	}
}

func (w *world) call(a args, t executorpb.Call_Type) *executorpb.Call {
	return &executorpb.Call{Type: t.Enum(), FrameworkId: fid(a.word(1)), ExecutorId: xid(a.word(2))}
}

// status returns the status of "update F X T STATE [uuid=…]".
func (w *world) status(a args, task, state, uuid string) *mesos.TaskStatus {
	st := &mesos.TaskStatus{
		TaskId: tid(task), State: mesos.TaskState(mesos.TaskState_value["TASK_"+state]).Enum(),
		Source: mesos.TaskStatus_SOURCE_EXECUTOR.Enum(), ExecutorId: xid(a.word(2)), Uuid: []byte(fmt.Sprintf("%-16s", uuid)),
		Timestamp: proto.Float64(1),
	}
	if r := a.opts["reason"]; r != "" {
		st.Reason = mesos.TaskStatus_Reason(mesos.TaskStatus_Reason_value["REASON_"+r]).Enum()
	}
	return st
}

func (w *world) subscribe(a args) Input {
	c := w.call(a, executorpb.Call_SUBSCRIBE)
	c.Subscribe = &executorpb.Call_Subscribe{}
	for t := range strings.FieldsFuncSeq(a.opts["tasks"], func(r rune) bool { return r == ',' }) {
		c.Subscribe.UnacknowledgedTasks = append(c.Subscribe.UnacknowledgedTasks, &mesos.TaskInfo{TaskId: tid(t)})
	}
	if u := a.opts["updates"]; u != "" { // task:STATE:uuid
		p := strings.Split(u, ":")
		c.Subscribe.UnacknowledgedUpdates = append(c.Subscribe.UnacknowledgedUpdates, &executorpb.Call_Update{Status: w.status(a, p[0], p[1], p[2])})
	}
	n, _ := strconv.Atoi(or(a.opts["conn"], "1"))
	return ExecutorSubscribe{Conn: ConnID(n), Driver: ids.UPID(a.opts["driver"]), Again: a.has("again"), By: w.by(a), Call: c}
}

// by returns the holder of a token of "by=FID:EID:CID", nil without.
func (w *world) by(a args) *Caller {
	claims := strings.Split(a.opts["by"], ":")
	if len(claims) != 3 {
		return nil
	}
	return &Caller{Name: "who", Claims: map[string]string{"fid": claims[0], "eid": claims[1], "cid": string(w.container(claims[2]))}}
}

func (w *world) container(s string) ids.ContainerID {
	n, err := strconv.Atoi(strings.TrimPrefix(s, "c"))
	if err != nil || n < 1 || n > len(w.containers) {
		return ids.ContainerID(s)
	}
	return w.containers[n-1]
}

// short names a container or a UUID.
func (w *world) short(c ids.ContainerID) string {
	if len(c) != 36 {
		return string(c)
	}
	i := slices.Index(w.containers, c)
	if i < 0 {
		i = len(w.containers)
		w.containers = append(w.containers, c)
	}
	return fmt.Sprintf("c%d", i+1)
}

func (w *world) uuid(b []byte) string {
	if s := strings.TrimSpace(string(b)); len(s) < 16 && strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0 {
		return s
	}
	h := hex.EncodeToString(b)
	i := slices.Index(w.uuids, h)
	if i < 0 {
		i = len(w.uuids)
		w.uuids = append(w.uuids, h)
	}
	return fmt.Sprintf("u%d", i+1)
}

func (w *world) uuidBytes(s string) []byte {
	if n, err := strconv.Atoi(strings.TrimPrefix(s, "u")); err == nil && strings.HasPrefix(s, "u") && n <= len(w.uuids) {
		b, _ := hex.DecodeString(w.uuids[n-1])
		return b
	}
	return []byte(fmt.Sprintf("%-16s", s))
}

func mustDuration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return d
}
