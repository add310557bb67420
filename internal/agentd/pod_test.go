package agentd

import (
	"log/slog"
	"path/filepath"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/containerizer"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/meta"
	"github.com/meseta-project/meseta/internal/pod"
)

// TestTasksOfPodsThatNobodyRemembers: an agent may die between the start of a task
// and its being remembered. The task is said to be dropped, and must not run on; one
// that is remembered does, and so does what was launched by a call.
func TestTasksOfPodsThatNobodyRemembers(t *testing.T) {
	boxes, err := containerizer.New(containerizer.Config{RuntimeDir: t.TempDir()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{containerizer: boxes, log: slog.New(slog.DiscardHandler)}
	s.nest = newNest(s)
	work := t.TempDir()
	start := func(id ids.ContainerID) launcher.Process {
		spec := &containerizer.Spec{ID: id, Sandbox: filepath.Join(work, string(id))}
		if err := boxes.Prepare(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
		p, err := boxes.Start(spec, &mesos.CommandInfo{Value: new("exec sleep 1000")}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	known, unknown, box := start("pod.known"), start("pod.unknown"), start("pod.box")
	s.nest.boxes["pod.box"] = newBox(containerizer.Box{ID: "pod.box"})
	h := podOf(&container{s: s, spec: &agent.ContainerSpec{Run: meta.Run{Container: "pod"}}})
	h.endUnknown([]pod.Recovered{{Container: "pod.known"}})
	if _, err := unknown.Wait(); err != nil || unknown.First() != 0 { // which hangs if it was not killed
		t.Errorf("the task that nobody remembers: %v", err)
	}
	for _, p := range []launcher.Process{known, box} {
		if p.First() == 0 {
			t.Error("another was ended")
		}
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
		if _, err := p.Wait(); err != nil {
			t.Error(err)
		}
	}
}
