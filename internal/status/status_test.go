package status

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// update makes an update of a task "framework/task" with a short uuid.
func update(task, id, state string) *messages.StatusUpdate {
	f, t, _ := strings.Cut(task, "/")
	return &messages.StatusUpdate{
		FrameworkId: &mesos.FrameworkID{Value: &f},
		Uuid:        long(id),
		Status: &mesos.TaskStatus{
			TaskId: &mesos.TaskID{Value: &t},
			State:  mesos.TaskState(mesos.TaskState_value["TASK_"+state]).Enum(),
		},
		Timestamp: proto.Float64(0),
	}
}

func long(id string) []byte { return []byte(fmt.Sprintf("%-16s", id)) }

func show(u *messages.StatusUpdate) string {
	return fmt.Sprintf("send %s/%s %s", u.GetFrameworkId().GetValue(), u.GetStatus().GetTaskId().GetValue(), strings.TrimSpace(string(u.GetUuid())))
}

// TestScenarios runs the files of testdata: each line is one step, and what it
// sends is printed below it.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s, now := New(), epoch
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var out strings.Builder
			for line := range strings.Lines(d.Input) {
				for _, l := range step(s, &now, strings.Fields(line)) {
					fmt.Fprintf(&out, "%s\n", l)
				}
			}
			next := "never"
			if !s.Next().IsZero() {
				next = s.Next().Sub(now).String()
			}
			fmt.Fprintf(&out, "streams %d pending %d next %s\n", s.Len(), s.Pending(), next)
			return out.String()
		})
	})
}

func step(s *Streams, now *time.Time, f []string) []string {
	switch f[0] {
	case "update":
		send, v := s.Update(*now, update(f[1], f[2], f[3]))
		return sent(send, map[Verdict]string{Duplicate: "duplicate", Full: "full"}[v])
	case "ack":
		fw, task, _ := strings.Cut(f[1], "/")
		send, ended, err := s.Acknowledge(*now, Key{ids.FrameworkID(fw), ids.TaskID(task)}, long(f[2]))
		if err != nil {
			return []string{"refused: " + err.Error()}
		}
		return sent(send, map[bool]string{true: "ended"}[ended])
	case "pause":
		s.Pause()
	case "resume":
		return all(s.Resume(*now))
	case "back":
		return all(s.ResumeFramework(*now, ids.FrameworkID(f[1])))
	case "after":
		d, _ := time.ParseDuration(f[1])
		*now = now.Add(d)
		return all(s.Due(*now))
	case "forget":
		fw, task, _ := strings.Cut(f[1], "/")
		s.Forget(Key{ids.FrameworkID(fw), ids.TaskID(task)})
	case "remove":
		s.Remove(ids.FrameworkID(f[1]))
	case "recover":
		recoverStream(s, f[1:])
	default:
		return []string{"? " + f[0]}
	}
	return nil
}

// recoverStream takes "framework/task uuid=STATE[+acked] …".
func recoverStream(s *Streams, f []string) {
	fw, task, _ := strings.Cut(f[0], "/")
	var updates []*messages.StatusUpdate
	var acks [][]byte
	for _, u := range f[1:] {
		id, state, _ := strings.Cut(u, "=")
		state, acked := strings.CutSuffix(state, "+acked")
		updates = append(updates, update(f[0], id, state))
		if acked {
			acks = append(acks, long(id))
		}
	}
	s.Recover(Key{ids.FrameworkID(fw), ids.TaskID(task)}, updates, acks)
}

func sent(u *messages.StatusUpdate, note string) []string {
	var out []string
	if note != "" {
		out = append(out, note)
	}
	if u != nil {
		out = append(out, show(u))
	}
	return out
}

func all(us []*messages.StatusUpdate) []string {
	var out []string
	for _, u := range us {
		out = append(out, show(u))
	}
	return out
}

// TestEveryUpdateArrivesInOrder plays against a framework that loses, repeats
// and delays acknowledgements, and a master that comes and goes: in the end it
// has seen every update of every task in the order in which they were made.
func TestEveryUpdateArrivesInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, now := New(), epoch
		s.Resume(now)
		made := map[string][]string{}
		seen := map[string][]string{}
		var wire []*messages.StatusUpdate
		deliver := func(us ...*messages.StatusUpdate) {
			for _, u := range us {
				if u != nil {
					wire = append(wire, u)
				}
			}
		}
		receive := func(u *messages.StatusUpdate) {
			task := u.GetStatus().GetTaskId().GetValue()
			if id := string(u.GetUuid()); !slices.Contains(seen[task], id) {
				seen[task] = append(seen[task], id)
			}
			send, _, _ := s.Acknowledge(now, keyOf(u), u.GetUuid())
			deliver(send)
		}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0, 1:
				task := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "task")
				id := fmt.Sprintf("%s%d", task, len(made[task]))
				made[task] = append(made[task], string(long(id)))
				send, _ := s.Update(now, update("f/"+task, id, "RUNNING"))
				deliver(send)
			case 2:
				if len(wire) > 0 {
					u := wire[0]
					wire = wire[1:]
					receive(u)
				}
			case 3: // what is on its way is lost
				wire = nil
			case 4:
				s.Pause()
				now = now.Add(time.Minute)
				deliver(s.Resume(now)...)
			case 5:
				now = now.Add(7 * time.Second)
				deliver(s.Due(now)...)
			}
		}
		for i := 0; s.Pending() > 0; i++ {
			if i > 1000 {
				t.Fatal("updates are left that are never sent")
			}
			for len(wire) > 0 {
				u := wire[0]
				wire = wire[1:]
				receive(u)
			}
			now = now.Add(MaxRetry)
			deliver(s.Due(now)...)
		}
		for task, want := range made {
			if !slices.Equal(seen[task], want) {
				t.Fatalf("task %s: seen %q, made %q", task, seen[task], want)
			}
		}
	})
}

func TestFullQueueRefuses(t *testing.T) {
	s := New()
	s.Update(epoch, update("f/t", "first", "RUNNING"))
	st := s.streams[Key{"f", "t"}]
	for len(st.pending) < maxPending {
		st.pending = append(st.pending, st.pending[0])
	}
	if _, v := s.Update(epoch, update("f/t", "last", "FINISHED")); v != Full {
		t.Errorf("verdict %d, want Full", v)
	}
}

func BenchmarkTask(b *testing.B) {
	s := New()
	s.Resume(epoch)
	u := update("f/t", "1", "FINISHED")
	for b.Loop() {
		s.Update(epoch, u)
		s.Acknowledge(epoch, keyOf(u), u.Uuid)
	}
}
