package meta

import (
	"path"

	"github.com/meseta-project/meseta/internal/ids"
)

// Layout names the folders of an agent below its work directory, as Mesos lays
// them out: what tasks write under "slaves", what the agent remembers under
// "meta", with the same branches in both. IDs become names of folders as they
// are, so only validated ones may come here.
type Layout struct {
	WorkDir string // absolute
	Agent   ids.AgentID
}

// AgentDir returns the folder of everything that the agent's tasks write.
func (l Layout) AgentDir() string { return path.Join(l.WorkDir, "slaves", string(l.Agent)) }

// FrameworkDir returns the folder of a framework's sandboxes.
func (l Layout) FrameworkDir(f ids.FrameworkID) string {
	return path.Join(l.AgentDir(), "frameworks", string(f))
}

// ExecutorDir returns the folder of an executor's sandboxes.
func (l Layout) ExecutorDir(f ids.FrameworkID, e ids.ExecutorID) string {
	return path.Join(l.FrameworkDir(f), "executors", string(e))
}

// Sandbox returns the folder that a run works in.
func (l Layout) Sandbox(r Run) string {
	return path.Join(l.ExecutorDir(r.Framework, r.Executor), "runs", string(r.Container))
}

// VirtualSandbox returns the name by which the latest sandbox of an executor is
// browsed, without the work directory.
func (l Layout) VirtualSandbox(f ids.FrameworkID, e ids.ExecutorID) string {
	return path.Join("/frameworks", string(f), "executors", string(e), "runs", "latest")
}

// Meta returns the same layout for what is remembered, whose branches mirror
// those of the sandboxes.
func (l Layout) Meta() Layout { return Layout{WorkDir: path.Join(l.WorkDir, "meta"), Agent: l.Agent} }
