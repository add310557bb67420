package agentd

import (
	"errors"
	"os"
	"path/filepath"
	"slices"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/containerizer"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/resources"
)

// makeVolume makes the folder of a persistent volume. It is the agent's until a
// container uses it.
func (s *Server) makeVolume(path string) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		s.log.Error("cannot make a volume: tasks with it will fail", attr("path", path), attrErr(err))
	}
}

// emptyVolume deletes all that is on a disk that was a volume.
func (s *Server) emptyVolume(path string) {
	entries, err := os.ReadDir(path)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(path, e.Name())))
	}
	if err != nil {
		s.unremoved.Add(1)
		s.log.Error("cannot empty a volume: who gets its disk next will see what was on it", attr("path", path), attrErr(err))
	}
}

// volumes returns the persistent volumes among resources as containers see them.
func (s *Server) volumes(rs ...*mesos.Resource) []containerizer.Volume {
	var all []containerizer.Volume
	for _, v := range agent.Volumes(s.cfg.Agent.WorkDir, rs) {
		all = append(all, containerizer.Volume{Path: v.Path, At: v.At, Shared: v.Shared, ReadOnly: v.ReadOnly})
	}
	return all
}

// setVolumes lets a running container see the volumes that its tasks have now,
// and no more those of tasks that are over. Tasks in pods have sandboxes of their
// own, with their own volumes.
func (c *container) setVolumes(rs resources.Resources) {
	if c.spec.Builtin == agent.PodBuiltin {
		return
	}
	var now []containerizer.Volume // mostly there are none
	if rs.Any(resources.Resource.IsPersistentVolume) {
		now = c.s.volumes(rs.Proto()...)
	}
	missing := func(in []containerizer.Volume) func(containerizer.Volume) bool {
		return func(v containerizer.Volume) bool { return slices.Contains(in, v) }
	}
	c.volumes.Lock()
	defer c.volumes.Unlock()
	had := c.make.Volumes
	if slices.Equal(had, now) {
		return
	}
	more := slices.DeleteFunc(slices.Clone(now), missing(had))
	err := c.s.containerizer.RemoveVolumes(c.make, slices.DeleteFunc(slices.Clone(had), missing(now)))
	if len(more) > 0 && (c.s.cfg.Launcher != nil || c.make.Docker != nil) {
		// A link would lead nowhere: what is mounted is so when the container begins.
		err = errors.Join(err, errors.New("this container gets no volume while it runs: give it to the executor's first task"))
	} else {
		err = errors.Join(err, c.s.containerizer.AddVolumes(c.make, more))
	}
	c.make.Volumes = now
	if err == nil {
		return
	}
	c.failUpdate(err)
}

// failUpdate ends a container that cannot be given what its tasks were: a task that has
// been launched with a volume must not run without it.
func (c *container) failUpdate(err error) {
	c.s.log.Error("cannot give a container what its tasks have, and it ends for it", attr("container", c.id()), attrErr(err))
	c.beyond.Store(&launcher.Limitation{
		Reason: mesos.TaskStatus_REASON_CONTAINER_UPDATE_FAILED, Message: "Failed to update resources for container: " + err.Error(),
	})
	c.end()
}

// dropVolumes takes the links to volumes out of the sandbox of a container that
// has ended.
func (c *container) dropVolumes() {
	c.volumes.Lock()
	defer c.volumes.Unlock()
	if err := c.s.containerizer.RemoveVolumes(c.make, c.make.Volumes); err != nil {
		c.s.log.Warn("cannot take volumes out of a sandbox", attr("container", c.id()), attrErr(err))
	}
}
