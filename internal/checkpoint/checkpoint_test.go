package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/crashfs"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/meta"
)

// crashing makes a crashfs a FS.
type crashing struct{ *crashfs.FS }

func (c crashing) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := c.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func run(f, x, c string) meta.Run {
	return meta.Run{Framework: ids.FrameworkID(f), Executor: ids.ExecutorID(x), Container: ids.ContainerID(c)}
}

func taskOf(r meta.Run, id string) *mesos.Task {
	return &mesos.Task{
		Name: &id, TaskId: &mesos.TaskID{Value: &id}, FrameworkId: &mesos.FrameworkID{Value: (*string)(&r.Framework)},
		AgentId: &mesos.AgentID{Value: new("s")}, State: mesos.TaskState_TASK_STAGING.Enum(),
	}
}

func update(r meta.Run, task, uuid string, s mesos.TaskState) meta.Record {
	return meta.Update{Run: r, Task: ids.TaskID(task), Record: &messages.StatusUpdateRecord{
		Type: messages.StatusUpdateRecord_UPDATE.Enum(),
		Update: &messages.StatusUpdate{
			FrameworkId: &mesos.FrameworkID{Value: (*string)(&r.Framework)}, Timestamp: proto.Float64(1), Uuid: []byte(uuid),
			Status: &mesos.TaskStatus{TaskId: &mesos.TaskID{Value: &task}, State: s.Enum()},
		},
	}}
}

func ack(r meta.Run, task, uuid string) meta.Record {
	return meta.Update{Run: r, Task: ids.TaskID(task), Record: &messages.StatusUpdateRecord{
		Type: messages.StatusUpdateRecord_ACK.Enum(), Uuid: []byte(uuid),
	}}
}

// story is what an agent writes in its life, batch by batch.
func story() [][]meta.Record {
	info := &mesos.AgentInfo{Hostname: new("h"), Id: &mesos.AgentID{Value: new("s")}}
	fw := &mesos.FrameworkInfo{User: new("u"), Name: new("n"), Id: &mesos.FrameworkID{Value: new("f")}}
	x := func(id string) *mesos.ExecutorInfo {
		return &mesos.ExecutorInfo{ExecutorId: &mesos.ExecutorID{Value: &id}, FrameworkId: fw.Id}
	}
	r, r2, q := run("f", "x", "c1"), run("f", "x", "c2"), run("f", "t", "c3")
	disk := &mesos.Resource{Name: new("disk"), Type: mesos.Value_SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: proto.Float64(64)}}
	return [][]meta.Record{
		{meta.Boot{ID: "boot1"}},
		{meta.Agent{Info: info}},
		{meta.Framework{Info: fw, PID: "@0.0.0.0:0"}, meta.Executor{Run: r, Info: x("x")}, meta.Task{Run: r, Task: taskOf(r, "t1")}},
		{meta.ForkedPID{Run: r, PID: 42}},
		{meta.Connected{Run: r}},
		{update(r, "t1", "a", mesos.TaskState_TASK_STARTING), update(r, "t1", "b", mesos.TaskState_TASK_RUNNING)},
		{ack(r, "t1", "a"), meta.Task{Run: r, Task: taskOf(r, "t2")}, update(r, "t2", "c", mesos.TaskState_TASK_FINISHED)},
		{meta.Executor{Run: q, Info: x("t"), Generated: true}, meta.Task{Run: q, Task: taskOf(q, "t"), MaxCompletion: 5, Group: "g", Check: &mesos.CheckInfo{Type: mesos.CheckInfo_TCP.Enum(), Tcp: &mesos.CheckInfo_Tcp{Port: new(uint32(22))}}}, meta.Connected{Run: q, Driver: "executor(1)@1.2.3.4:5"}},
		{meta.Resources{State: &messages.ResourceState{Resources: []*mesos.Resource{disk}}}},
		{ack(r, "t1", "b"), ack(r, "t2", "c"), meta.Ended{Run: r}, meta.Drain{Config: &mesos.DrainConfig{MarkGone: new(true)}}},
		{meta.Executor{Run: r2, Info: x("x")}, meta.Drain{}, meta.Resources{State: &messages.ResourceState{}}},
		{meta.Framework{Info: fw, PID: "s@1.2.3.4:5"}, meta.Boot{ID: "boot2"}},
	}
}

// show writes a state as text, in an order of its own. A record that was written
// twice counts once.
func show(s *meta.State) string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	text := func(m proto.Message) string {
		b, _ := prototext.MarshalOptions{Multiline: false}.Marshal(m)
		return strings.ReplaceAll(string(b), "  ", " ")
	}
	add("boot %s", s.Boot)
	if s.Agent != nil {
		add("agent %s", text(s.Agent))
	}
	if s.Resources != nil {
		add("resources %s", text(s.Resources))
	}
	if s.Drain != nil {
		add("drain %s", text(s.Drain))
	}
	for fid, f := range s.Frameworks {
		add("framework %s %s %s", fid, text(f.Info), f.PID)
		for xid, x := range f.Executors {
			add("executor %s %s generated %t latest %s", xid, text(x.Info), x.Generated, x.Latest)
			for c, r := range x.Runs {
				add("run %s pid %d http %t driver %s ended %t", c, r.ForkedPID, r.HTTP, r.Driver, r.Ended)
				for id, t := range r.Tasks {
					line := fmt.Sprintf("task %s/%s %s limit %d check %s group %s", c, id, text(t.Info), t.MaxCompletion, text(t.Check), t.Group)
					for _, u := range t.Updates {
						if w := fmt.Sprintf(" %s=%s", u.GetUuid(), u.GetStatus().GetState()); !strings.Contains(line, w) {
							line += w
						}
					}
					for _, a := range t.Acks {
						if w := fmt.Sprintf(" acked %s", a); !strings.Contains(line, w) {
							line += w
						}
					}
					lines = append(lines, line)
				}
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func newFS(t *testing.T) *crashfs.FS {
	t.Helper()
	f := crashfs.New()
	if err := f.Mkdir("/w", 0o755); err != nil {
		t.Fatal(err)
	}
	root, err := f.OpenFile("/", os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := root.Sync(); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestWhatIsWrittenIsRead compares what is read after each batch with what the
// records add up to.
func TestWhatIsWrittenIsRead(t *testing.T) {
	f := newFS(t)
	want := &meta.State{}
	s := Open(crashing{f}, "/w")
	for i, batch := range story() {
		if err := s.Write(batch); err != nil {
			t.Fatal(err)
		}
		for _, r := range batch {
			want.Apply(r)
		}
		got, err := Open(crashing{f}, "/w").Read(true)
		if err != nil {
			t.Fatal(err)
		}
		if show(got) != show(want) {
			t.Fatalf("after batch %d:\n%s\nwant\n%s", i, show(got), show(want))
		}
	}
}

// TestCrashAfterEveryOperation lets the power go after every operation of a
// life. What was promised to be durable is there, and what was being written
// can be written again.
func TestCrashAfterEveryOperation(t *testing.T) {
	count := newFS(t)
	count.FailAfter(-1)
	life(Open(crashing{count}, "/w"), nil)
	for n := range count.Ops() {
		for seed := range uint64(4) {
			crashOnce(t, n, seed)
		}
	}
}

// life writes the story until it fails. It adds to state what was promised, and
// returns what was being written.
func life(s *Store, state *meta.State) (broken []meta.Record) {
	for _, batch := range story() {
		if err := s.Write(batch); err != nil {
			return batch
		}
		for _, r := range batch {
			if state != nil {
				state.Apply(r)
			}
		}
	}
	return nil
}

func crashOnce(t *testing.T, n int, seed uint64) {
	t.Helper()
	f := newFS(t)
	f.FailAfter(n)
	want := &meta.State{}
	s := Open(crashing{f}, "/w")
	s.syncers = 1
	broken := life(s, want)
	f = f.Restart(rand.New(rand.NewPCG(uint64(n), seed)))

	s = Open(crashing{f}, "/w")
	got, err := s.Read(true)
	if err != nil {
		t.Fatalf("crash at %d, seed %d: %v", n, seed, err)
	}
	for _, r := range broken {
		got.Apply(r)
		want.Apply(r)
	}
	if show(got) != show(want) {
		t.Fatalf("crash at %d, seed %d: with %v again there is\n%s\nwant\n%s", n, seed, broken, show(got), show(want))
	}
	if err := s.Write(broken); err != nil {
		t.Fatal(err)
	}
	got, err = Open(crashing{f}, "/w").Read(true)
	if err != nil {
		t.Fatalf("crash at %d, seed %d: after writing again: %v", n, seed, err)
	}
	if show(got) != show(want) {
		t.Fatalf("crash at %d, seed %d: after writing again there is\n%s\nwant\n%s", n, seed, show(got), show(want))
	}
}

// TestForget drops the agent's identity and lists what is left of it.
func TestForget(t *testing.T) {
	dir := t.TempDir()
	s := Open(OS{}, dir)
	life(s, nil)
	if err := os.MkdirAll(filepath.Join(dir, "slaves", "older"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := s.Write([]meta.Record{meta.Forget{}}); err != nil {
		t.Fatal(err)
	}
	got, err := Open(OS{}, dir).Read(true)
	if err != nil {
		t.Fatal(err)
	}
	if got.Agent != nil || len(got.Frameworks) > 0 || !slices.Equal(got.Old, []ids.AgentID{"s", "older"}) {
		t.Errorf("left: agent %v, frameworks %v, old %v", got.Agent, got.Frameworks, got.Old)
	}
}

// TestDamage damages each file in turn: a strict read fails, another counts.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	life(Open(OS{}, dir), nil)
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		was, err := os.ReadFile(name)
		if err != nil || len(was) < 5 || slices.Contains([]string{bootIDFile, driverFile, limitFile, groupFile, "libprocess.pid", "resources.info"}, filepath.Base(name)) {
			return err
		}
		if err := os.WriteFile(name, append([]byte{3, 0, 0, 0, 0xff, 0xff, 0xff}, was...), 0o600); err != nil {
			return err
		}
		if _, err := Open(OS{}, dir).Read(true); err == nil {
			t.Errorf("%s is damaged, and nobody minds", name)
		}
		if st, err := Open(OS{}, dir).Read(false); err != nil || st.Errors == 0 {
			t.Errorf("%s is damaged: %v, %d errors", name, err, st.Errors)
		}
		return os.WriteFile(name, was, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestStrays lists the frameworks that have left sandboxes and no records.
func TestStrays(t *testing.T) {
	dir := t.TempDir()
	s := Open(OS{}, dir)
	life(s, nil)
	for _, f := range []string{"f", "careless"} {
		if err := os.MkdirAll(filepath.Join(dir, "slaves/s/frameworks", f), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if st, err := Open(OS{}, dir).Read(true); err != nil || !slices.Equal(st.Strays, []ids.FrameworkID{"careless"}) {
		t.Errorf("strays %v, %v", st.Strays, err)
	}
}

// TestCollectedFolders deletes folders behind the store's back.
func TestCollectedFolders(t *testing.T) {
	dir := t.TempDir()
	s := Open(OS{}, dir)
	life(s, nil)
	if err := os.RemoveAll(filepath.Join(dir, "meta/slaves/s/frameworks")); err != nil {
		t.Fatal(err)
	}
	for _, batch := range story()[2:4] {
		if err := s.Write(batch); err != nil {
			t.Fatal(err)
		}
	}
	if st, err := Open(OS{}, dir).Read(true); err != nil || st.Run(run("f", "x", "c1")).ForkedPID != 42 {
		t.Errorf("read %v, %v", st, err)
	}
}

// TestTornLog cuts the log of a task anywhere: what is whole is read, and what
// is added later is read too.
func TestTornLog(t *testing.T) {
	dir := t.TempDir()
	life(Open(OS{}, dir), nil)
	r := run("f", "x", "c1")
	name := filepath.Join(meta.Layout{WorkDir: dir, Agent: "s"}.Meta().Sandbox(r), "tasks/t1", updatesFile)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for size := range whole {
		if err := os.WriteFile(name, whole[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		s := Open(OS{}, dir)
		before, err := s.Read(true)
		if err != nil {
			t.Fatalf("cut at %d: %v", size, err)
		}
		if err := s.Write([]meta.Record{update(r, "t1", "z", mesos.TaskState_TASK_KILLED)}); err != nil {
			t.Fatal(err)
		}
		before.Apply(update(r, "t1", "z", mesos.TaskState_TASK_KILLED))
		if after, err := Open(OS{}, dir).Read(true); err != nil || show(after) != show(before) {
			t.Fatalf("cut at %d (%v):\n%s\nwant\n%s", size, err, show(after), show(before))
		}
	}
}

func FuzzSequence(f *testing.F) {
	good, err := appendMessage(nil, &messages.StatusUpdateRecord{Type: messages.StatusUpdateRecord_ACK.Enum(), Uuid: []byte("0123456789abcdef")})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{nil, {1}, good, append(good, good...), good[:7], {0xff, 0xff, 0xff, 0xff, 0}, {0, 0, 0, 0}} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		all, size, err := sequence(b, func() *messages.StatusUpdateRecord { return &messages.StatusUpdateRecord{} })
		if size > len(b) || (err == nil) != (size == len(b)) {
			t.Fatalf("%d of %d bytes read, error %v", size, len(b), err)
		}
		again, whole, err := sequence(b[:size], func() *messages.StatusUpdateRecord { return &messages.StatusUpdateRecord{} })
		if err != nil || whole != size || len(again) != len(all) {
			t.Fatalf("what was whole is read otherwise: %d of %d, %v", len(again), len(all), err)
		}
	})
}

func TestTornIsNotDamaged(t *testing.T) {
	good, err := appendMessage(nil, &mesos.DrainConfig{MarkGone: new(true)})
	if err != nil {
		t.Fatal(err)
	}
	for n := range good {
		if _, err := cutMessage(good[:n], &mesos.DrainConfig{}); !errors.Is(err, errTorn) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
}

// TestTruncated cuts each file short, at every length. A strict read either takes
// it for what a crash leaves or refuses it; another always goes on, and counts
// what it could not read.
func TestTruncated(t *testing.T) {
	dir := t.TempDir()
	life(Open(OS{}, dir), nil)
	cuts := 0
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		was, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for size := range was {
			cuts++
			if err := os.WriteFile(name, was[:size], 0o600); err != nil {
				return err
			}
			_, strict := Open(OS{}, dir).Read(true)
			st, err := Open(OS{}, dir).Read(false)
			if err != nil {
				t.Errorf("%s cut at %d: %v", name, size, err)
			} else if (strict != nil) != (st.Errors > 0) {
				t.Errorf("%s cut at %d: strict says %v, and otherwise there are %d errors", name, size, strict, st.Errors)
			}
		}
		return os.WriteFile(name, was, 0o600)
	})
	if err != nil || cuts < 100 {
		t.Fatalf("%d cuts, %v", cuts, err)
	}
}
