package containerizer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/image"
	"github.com/meseta-project/meseta/internal/launcher"
)

// imageOf returns the image that a container's root is to be made of, or nil.
func imageOf(spec *Spec) *mesos.Image {
	if spec.Container == nil || spec.Container.GetType() != mesos.ContainerInfo_MESOS {
		return nil
	}
	return spec.Container.GetMesos().GetImage()
}

// provision makes a container's root, if it is to have one of its own. How a pull
// goes on is told in the sandbox.
func (c *Containerizer) provision(ctx context.Context, spec *Spec) error {
	wanted := imageOf(spec)
	if wanted == nil {
		return nil
	}
	_, err := c.provisionImage(ctx, spec, "", wanted)
	return err
}

// provisionImage makes a root of an image, of that name among those of a container.
func (c *Containerizer) provisionImage(ctx context.Context, spec *Spec, name string, wanted *mesos.Image) (*image.Root, error) {
	switch {
	case c.cfg.Images == nil:
		return nil, errors.New("this agent has no images: start it with --image_providers=DOCKER")
	case c.cfg.Launcher == nil:
		return nil, errors.New("this agent starts plain processes, which have no root of their own: start it with --launcher=oci or lxc")
	}
	log, err := output(spec, "stderr")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	defer spec.waits("")
	return c.cfg.Images.Provision(ctx, &image.Request{Container: spec.ID, Name: name, Image: wanted, Progress: func(p image.Progress) {
		fmt.Fprintln(log, p)
		spec.waits(p.String())
	}})
}

// waits tells what the container waits for.
func (s *Spec) waits(text string) {
	if s.Progress != nil {
		s.Progress(text)
	}
}

// told is a writer of lines that tells them as what the container waits for.
type told struct{ *Spec }

func (t told) Write(line []byte) (int, error) {
	t.waits(strings.TrimSpace(string(line)))
	return len(line), nil
}

// inRoot makes a process one of the container's image: with its command, variables
// and folder, where the task names none, and the sandbox mounted.
func (c *Containerizer) inRoot(spec *Spec, command *mesos.CommandInfo, process *launcher.Spec) error {
	if imageOf(spec) == nil {
		process.Path, process.Args = argv(command)
		return nil
	}
	root, ok := c.cfg.Images.Find(spec.ID, "")
	if !ok {
		return fmt.Errorf("the root of container %s is gone", spec.ID)
	}
	command, err := root.Runtime.Command(command)
	if err != nil {
		return fmt.Errorf("determine the launch command: %w", err)
	}
	process.Path, process.Args = argv(command)
	c.place(process, root)
	if err := sandboxWithin(spec); err != nil {
		return err
	}
	process.Mounts = append(process.Mounts, launcher.Mount{Source: spec.Sandbox, Target: c.cfg.Mapped})
	for _, file := range hostFiles {
		if _, err := os.Stat(file); err == nil && !c.ownFile(spec.ID, file) {
			process.Mounts = append(process.Mounts, launcher.Mount{Source: file, Target: file, ReadOnly: true})
		}
	}
	return nil
}

// sandboxWithin refuses a sandbox that a link in the place of one above has moved out of
// the container that it is in: what is there is not to be shown in a root of its own.
func sandboxWithin(spec *Spec) error {
	if spec.Within == "" {
		return nil
	}
	at, err := filepath.EvalSymlinks(spec.Sandbox)
	if err != nil {
		return err
	}
	top, err := filepath.EvalSymlinks(spec.Within)
	if err == nil && !isBelow(at, top) {
		err = fmt.Errorf("'%s' leads out of the sandbox of the container that it is in", spec.Sandbox)
	}
	return err
}

// beInRoot makes a further process one of the container's image, if it has one.
func (c *Containerizer) beInRoot(spec *Spec, process *launcher.Spec) error {
	if imageOf(spec) == nil {
		return nil
	}
	root, ok := c.cfg.Images.Find(spec.ID, "")
	if !ok {
		return fmt.Errorf("the root of container %s is gone", spec.ID)
	}
	c.place(process, root)
	return nil
}

// place sets what a process of an image sees of it.
func (c *Containerizer) place(process *launcher.Spec, root *image.Root) {
	process.Rootfs, process.WorkDir = root.Path, cmp.Or(root.Runtime.WorkingDir, c.cfg.Mapped)
	process.Env = root.Runtime.Environment(mapped(process.Env, c.cfg.Mapped))
}

// hostFiles are what containers that share the machine's network need to know of it.
var hostFiles = []string{"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}

// mapped returns the variables with the sandbox as it is named inside.
func mapped(env []string, sandbox string) []string {
	out := slices.DeleteFunc(slices.Clone(env), func(v string) bool { return strings.HasPrefix(v, "MESOS_SANDBOX=") })
	return append(out, "MESOS_SANDBOX="+sandbox)
}

// recoverImages removes the roots of containers that nothing is known of.
func (c *Containerizer) recoverImages(known []ids.ContainerID) error {
	if c.cfg.Images == nil {
		return nil
	}
	return c.cfg.Images.Recover(func(id ids.ContainerID) bool { return slices.Contains(known, id.Root()) })
}

// destroyRoot removes the root of a container that has ended.
func (c *Containerizer) destroyRoot(id ids.ContainerID) error {
	if c.cfg.Images == nil {
		return nil
	}
	return c.cfg.Images.Destroy(id)
}
