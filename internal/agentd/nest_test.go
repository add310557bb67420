package agentd

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/containerizer"
	"github.com/meseta-project/meseta/internal/ids"
)

// TestEndedSessionsMakeRoom: an agent that remembers as many containers as it may
// forgets sessions that are over, and nothing else.
func TestEndedSessionsMakeRoom(t *testing.T) {
	boxes, err := containerizer.New(containerizer.Config{RuntimeDir: t.TempDir()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{containerizer: boxes, log: slog.New(slog.DiscardHandler)}
	n := newNest(s)
	s.nest = n
	work := t.TempDir()
	add := func(id ids.ContainerID, session, over bool) {
		b := newBox(containerizer.Box{ID: id, Sandbox: filepath.Join(work, string(id)), Session: session})
		if over {
			close(b.ended)
		}
		n.boxes[id] = b
	}
	for i := range boxesMax - 2 {
		add(ids.ContainerID(fmt.Sprintf("box%d", i)), false, i%2 == 0)
	}
	add("over", true, true)
	add("runs", true, false)
	if b, err := n.admit("new", &wish{command: &mesos.CommandInfo{}}); b == nil || err != nil {
		t.Fatalf("no room though a session is over: %v", err)
	}
	if n.get("over") != nil || n.get("runs") == nil || n.get("box0") == nil {
		t.Error("another was forgotten than the session that is over")
	}
	if _, err := n.admit("next", &wish{command: &mesos.CommandInfo{}}); err == nil {
		t.Error("there is room for any number")
	}
}
