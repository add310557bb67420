package containerizer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/docker"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/launcher"
)

// dockerFile is, in the runtime folder of a container of the Docker Engine's, what
// it takes to find it again. It is written before there is a container.
const dockerFile = "docker"

// dockerRecord is what a dockerFile says.
type dockerRecord struct {
	Sandbox string
	// Start is how long stdout and stderr were before the container wrote to them.
	Start [2]int64
	// Network is the NetworkInfo that it was asked for with, encoded; empty: none.
	Network []byte
	Secrets []string `json:",omitempty"` // names of variables
}

var outputs = [...]string{"stdout", "stderr"}

// pullDocker gets the image of a container of the Docker Engine's.
func (c *Containerizer) pullDocker(ctx context.Context, spec *Spec) error {
	log, err := output(spec, "stderr")
	if err != nil {
		return err
	}
	defer log.Close()
	defer spec.waits("")
	return c.cfg.Docker.Pull(ctx, spec.Docker.Container, io.MultiWriter(log, told{spec}))
}

// startDocker starts a container of the Docker Engine's.
func (c *Containerizer) startDocker(spec *Spec, command *mesos.CommandInfo, env []string) (launcher.Process, error) {
	runtime := c.runtimeDir(spec.ID)
	if err := os.MkdirAll(runtime, 0o755); err != nil {
		return nil, fmt.Errorf("make the runtime folder: %w", err)
	}
	files, sizes, err := openOutputs(spec.Sandbox)
	if err != nil {
		return nil, err
	}
	record := &dockerRecord{Sandbox: spec.Sandbox, Start: sizes, Secrets: docker.Secrets(command)}
	if asked := spec.Docker.Container.GetNetworkInfos(); len(asked) > 0 {
		if record.Network, err = proto.Marshal(asked[0]); err != nil {
			return nil, errors.Join(err, files[0].Close(), files[1].Close())
		}
	}
	if err := writeRecord(runtime, record); err != nil {
		return nil, errors.Join(err, files[0].Close(), files[1].Close())
	}
	launch := *spec.Docker
	launch.ID, launch.Command, launch.Env, launch.Sandbox = string(spec.ID), command, env, spec.Sandbox
	launch.Stdout, launch.Stderr = files[0], files[1]
	for _, v := range spec.Volumes {
		launch.Mounts = append(launch.Mounts, docker.Mount{Host: v.Path, At: v.At, ReadOnly: v.ReadOnly})
	}
	process, err := c.cfg.Docker.Launch(&launch)
	if err != nil {
		return nil, err
	}
	c.knowNetworks(spec.ID, process, record)
	if err := os.WriteFile(filepath.Join(runtime, "pid"), strconv.AppendInt(nil, int64(process.PID()), 10), 0o600); err != nil {
		return process, errors.Join(fmt.Errorf("remember the container's pid: %w", err), process.Kill())
	}
	return process, nil
}

// adoptDocker takes up a container of the Docker Engine's.
func (c *Containerizer) adoptDocker(id ids.ContainerID, record *dockerRecord) (launcher.Process, error) {
	files, written, err := openOutputs(record.Sandbox)
	if err != nil {
		return nil, err
	}
	for i, start := range record.Start {
		written[i] = max(0, written[i]-start)
	}
	process, err := c.cfg.Docker.Adopt(string(id), record.Secrets, files[0], files[1], written)
	if err != nil {
		return nil, err
	}
	c.knowNetworks(id, process, record)
	return process, nil
}

// knowNetworks keeps which network the Engine has put a container into.
func (c *Containerizer) knowNetworks(id ids.ContainerID, process *docker.Process, record *dockerRecord) {
	var asked *mesos.NetworkInfo
	if len(record.Network) > 0 {
		asked = &mesos.NetworkInfo{}
		if proto.Unmarshal(record.Network, asked) != nil {
			asked = nil // the file is not whole; the addresses are known all the same
		}
	}
	if networks := process.Networks(asked); len(networks) > 0 {
		c.engineNetworks.Store(id, networks)
	}
}

// Inspected returns what docker inspect says of a container that has just been
// started by the Engine, or found again; nil for others.
func (c *Containerizer) Inspected(process launcher.Process) []byte {
	if p, ok := process.(*docker.Process); ok {
		return p.Inspected()
	}
	return nil
}

// openOutputs opens the sandbox's stdout and stderr, and says how long they are.
func openOutputs(sandbox string) (files [2]*os.File, sizes [2]int64, err error) {
	for i, name := range outputs {
		f, err := output(&Spec{Sandbox: sandbox}, name)
		if err != nil {
			return files, sizes, errors.Join(err, closeAll(files[:i]))
		}
		files[i] = f
		info, err := f.Stat()
		if err != nil {
			return files, sizes, errors.Join(err, closeAll(files[:i+1]))
		}
		sizes[i] = info.Size()
	}
	return files, sizes, nil
}

func closeAll(files []*os.File) (err error) {
	for _, f := range files {
		err = errors.Join(err, f.Close())
	}
	return err
}

func writeRecord(runtime string, record *dockerRecord) error {
	text, err := json.Marshal(record)
	if err == nil {
		err = os.WriteFile(filepath.Join(runtime, dockerFile), text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("remember that the container is the Docker Engine's: %w", err)
	}
	return nil
}

// dockerOf returns what is known of a container of the Docker Engine's, nil for
// another kind of container.
func (c *Containerizer) dockerOf(id ids.ContainerID) *dockerRecord {
	if c.cfg.Docker == nil {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(c.runtimeDir(id), dockerFile))
	if err != nil {
		return nil
	}
	record := new(dockerRecord)
	if json.Unmarshal(text, record) != nil {
		return nil
	}
	return record
}

// Recover looks after what earlier lives have left that nothing is known of.
func (c *Containerizer) Recover(known []ids.ContainerID) error {
	return errors.Join(c.recoverImages(known), c.recoverNetworks(known))
}

// RecoverDocker looks after what earlier lives, those of Apache Mesos's agent among them,
// have left with the Docker Engine and the plugins of its volumes. known are the containers
// that may run, foreign says that some of these are of Mesos's agent. What plugins have
// mounted for others the function unmounts that it returns.
func (c *Containerizer) RecoverDocker(known []ids.ContainerID, foreign bool) (rest func() error, err error) {
	if c.cfg.Docker != nil {
		err = c.cfg.Docker.Recover(func(id string) bool { return slices.Contains(known, ids.ContainerID(id)) })
	}
	if c.cfg.Volumes == nil {
		return func() error { return nil }, err
	}
	orphans, failed := c.cfg.Volumes.Recover(func(id ids.ContainerID) bool { return slices.Contains(known, id.Root()) }, foreign)
	return func() error {
		var all error
		for _, id := range orphans {
			all = errors.Join(all, c.cfg.Volumes.Release(id))
		}
		return all
	}, errors.Join(err, failed)
}

// EndForeign ends a container of the Docker Engine's that the executor of Apache Mesos's
// agent has made, and that executor has ended.
func (c *Containerizer) EndForeign(id ids.ContainerID) error {
	if c.cfg.Docker == nil || c.dockerOf(id) != nil {
		return nil
	}
	return c.cfg.Docker.End(string(id))
}

// unsupported says that none of the containerizers enabled makes such a container.
func (c *Containerizer) unsupported(spec *Spec) error {
	enabled := "mesos"
	switch {
	case spec.Docker != nil && c.cfg.Docker != nil, spec.Docker == nil && !c.cfg.DockerOnly:
		return nil
	case c.cfg.DockerOnly:
		enabled = "docker"
	}
	return fmt.Errorf("None of the enabled containerizers (%s) could create a container for the provided TaskInfo/ExecutorInfo message", enabled) //nolint:staticcheck // as Mesos words it
}
