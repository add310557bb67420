package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// driven is a volume of a plugin's; options are in pairs.
func driven(p *cluster.VolumePlugin, name, at string, options ...string) J {
	of := J{"driver": p.Driver, "name": name}
	var parameters []J
	for pair := range slices.Chunk(options, 2) {
		parameters = append(parameters, J{"key": pair[0], "value": pair[1]})
	}
	if parameters != nil {
		of["driver_options"] = J{"parameter": parameters}
	}
	return J{"container_path": at, "mode": "RW", "source": J{"type": "DOCKER_VOLUME", "docker_volume": of}}
}

// withVolumes is a task whose container has volumes, with an image unless that is nil.
func withVolumes(offer cluster.Value, id, command string, container J, volumes ...J) J {
	task := cluster.Task(offer, id, command)
	if container == nil {
		container = J{"type": "MESOS"}
	}
	container["volumes"] = volumes
	task["container"] = container
	return task
}

// pluginFlags are those of an agent with Docker's volumes and an image box:1.
func pluginFlags(t *testing.T) []string {
	t.Helper()
	images := t.TempDir()
	if err := os.Chmod(filepath.Dir(images), 0o755); err != nil { // for user namespaces
		t.Fatal(err)
	}
	cluster.WriteImage(t, images, "box:1", J{})
	return []string{
		"--isolation=cgroups/cpu,cgroups/mem,namespaces/pid,filesystem/linux,docker/volume", "--docker_volume_checkpoint_dir=" + filepath.Join(images, "volumes"),
		"--image_providers=DOCKER", "--docker_registry=" + images, "--docker_store_dir=" + filepath.Join(images, "store"),
	}
}

// TestDockerVolumes gives containers volumes of a plugin in another process: with and
// without an image, several at a time, below the agent's feet, and in pods. It ends with
// nothing mounted.
func TestDockerVolumes(t *testing.T) {
	t.Parallel()
	p := cluster.StartVolumePlugin(t)
	eachRuntimeWith(t, pluginFlags(t), func(t *testing.T, c *containers) {
		name := func(of string) string { return of + "-" + filepath.Base(t.Name()) }
		s := cluster.Subscribe(t, c.Master, durable("driven"))
		t.Run("kept", func(t *testing.T) { volumeKept(t, s, p, name("kept")) })
		t.Run("shared", func(t *testing.T) { volumeShared(t, s, c, p, name("shared")) })
		t.Run("pod", func(t *testing.T) { volumePod(t, s, p, name("pod")) })
		t.Run("refused", func(t *testing.T) { volumeRefused(t, s, c, p, name("refused")) })
		t.Run("killed", func(t *testing.T) { volumeKilled(t, s, c, p, name("killed")) })
		s.Teardown()
		c.checkNothingLeft(t)
		cluster.Eventually(t, soon, p.Left)
		cluster.Eventually(t, soon, func() error { return volumesForgotten(c) })
	})
}

// volumesForgotten looks for what the agent has written down of volumes.
func volumesForgotten(c *containers) error {
	const flag = "--docker_volume_checkpoint_dir="
	i := slices.IndexFunc(c.agent.Args, func(arg string) bool { return strings.HasPrefix(arg, flag) })
	dir := strings.TrimPrefix(c.agent.Args[i], flag)
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%s has %v", dir, entries)
	}
	return err
}

// volumeKept writes to a volume that is made for it, and reads that in other containers.
func volumeKept(t *testing.T, s *cluster.Scheduler, p *cluster.VolumePlugin, name string) {
	offer := s.AwaitOffer()
	s.Launch(offer, 0,
		withVolumes(offer, name+"w", "echo kept >here/file", nil, driven(p, name, "here", "late", "1ms", "size", "10")))
	s.AwaitState(name+"w", "TASK_FINISHED")
	options, err := os.ReadFile(p.Data(name) + ".options")
	if err != nil || string(options) != `{"late":"1ms","size":"10"}` {
		t.Errorf("options %s, %v", options, err)
	}
	readOnly := driven(p, name, "/mnt/there")
	readOnly["mode"] = "RO"
	offer = s.AwaitOffer()
	s.Launch(offer, 0,
		withVolumes(offer, name+"i", "grep -q kept /mnt/there/file && ! echo >/mnt/there/more", boxed("box:1"), readOnly))
	s.AwaitState(name+"i", "TASK_FINISHED")
	offer = s.AwaitOffer()
	s.Launch(offer, 0,
		withVolumes(offer, name+"r", "grep -q kept /mnt/mesos/sandbox/a/b/file", boxed("box:1"), driven(p, name, "a/b")))
	s.AwaitState(name+"r", "TASK_FINISHED")
	cluster.Eventually(t, soon, func() error {
		if n, m := p.Count(name, "Mount"), p.Count(name, "Unmount"); n != m || n == 0 {
			return fmt.Errorf("mounted %d times, unmounted %d times", n, m)
		}
		return nil
	})
	if n := p.Count(name, "Create"); n != 1 {
		t.Errorf("made %d times", n)
	}
}

// volumeShared has several containers use a volume at a time: it is mounted once, and
// until the last has ended, which outlives the agent.
func volumeShared(t *testing.T, s *cluster.Scheduler, c *containers, p *cluster.VolumePlugin, name string) {
	offer := s.AwaitOffer()
	s.Launch(offer, 0,
		withVolumes(offer, name+"1", "echo one >v/1; exec sleep 1000", nil, driven(p, name, "v")),
		withVolumes(offer, name+"2", "echo two >/v/2; exec sleep 1000", boxed("box:1"), driven(p, name, "/v")))
	awaitAll(t, s, "TASK_RUNNING", name+"1", name+"2")
	c.agent.Kill9()
	c.agent.Restart(t)
	offer = s.AwaitOffer()
	s.Launch(offer, 0,
		withVolumes(offer, name+"3", "until cat v/1 v/2; do sleep 0.1; done; exec sleep 1000", nil, driven(p, name, "v")))
	s.AwaitState(name+"3", "TASK_RUNNING")
	s.Kill(name + "1")
	s.Kill(name + "2")
	awaitAll(t, s, "TASK_KILLED", name+"1", name+"2")
	cluster.Eventually(t, soon, func() error {
		if c.output(name+"3") != "one\ntwo\n" {
			return errors.New("the third does not see what the others wrote")
		}
		return nil
	})
	if n, m := p.Count(name, "Mount"), p.Count(name, "Unmount"); n != 1 || m != 0 {
		t.Errorf("mounted %d times and unmounted %d times while it is used", n, m)
	}
	s.Kill(name + "3")
	s.AwaitState(name+"3", "TASK_KILLED")
	cluster.Eventually(t, soon, func() error {
		if n := p.Count(name, "Unmount"); n != 1 {
			return fmt.Errorf("unmounted %d times", n)
		}
		return nil
	})
}

// volumePod has two tasks of a pod share a volume.
func volumePod(t *testing.T, s *cluster.Scheduler, p *cluster.VolumePlugin, name string) {
	offer := s.AwaitOffer()
	a := withVolumes(offer, name+"a", "echo said >v/file", nil, driven(p, name, "v"))
	b := withVolumes(offer, name+"b", "until grep said /v/file; do sleep 0.1; done", boxed("box:1"), driven(p, name, "/v"))
	s.Accept(offer, 0, groupOf(s, name, a, b))
	awaitAll(t, s, "TASK_FINISHED", name+"a", name+"b")
}

// volumeRefused asks for volumes that cannot be: the task's message says why, and names
// the plugin.
func volumeRefused(t *testing.T, s *cluster.Scheduler, c *containers, p *cluster.VolumePlugin, name string) {
	link := filepath.Join(p.Dir, "link-"+name)
	if err := os.Symlink(c.agent.WorkDir, link); err != nil {
		t.Fatal(err)
	}
	answering := func(volume, answer string) J { return driven(p, name+volume, "v", "answer", answer) }
	missing := driven(&cluster.VolumePlugin{Driver: "no-such-plugin"}, name, "v")
	nameless := driven(p, name, "v")
	delete(nameless["source"].(J)["docker_volume"].(J), "driver")
	for i, tc := range []struct {
		volumes []J
		want    string
	}{
		{[]J{missing}, "Docker volume plugin 'no-such-plugin' is not there"},
		{[]J{nameless}, "The volume driver is not specified for volume '" + name + "' with container "},
		{[]J{driven(p, name, "v"), driven(p, name, "w")}, fmt.Sprintf("Found duplicate docker volume with driver '%s' and name '%s'", p.Driver, name)},
		{[]J{driven(p, name, "/no/such/place")}, "Absolute container path '/no/such/place' does not exist"},
		{[]J{driven(p, name, "../out")}, "contains '..'"},
		{[]J{answering("e", `{"Err": "the disk is on fire"}`)}, "failed to mount volume '" + name + "e': the disk is on fire"},
		{[]J{answering("r", `{"Mountpoint": "some/where"}`)}, "no absolute path"},
		{[]J{answering("u", `{"Mountpoint": "/tmp/../etc"}`)}, "no absolute path"},
		{[]J{answering("s", `{"Mountpoint": "/"}`)}, "at '/'"},
		{[]J{answering("n", `{"Mountpoint": "/no/such/folder"}`)}, "no such file or directory"},
		{[]J{answering("w", `{"Mountpoint": "`+c.agent.WorkDir+`"}`)}, "is the agent's own"},
		{[]J{answering("l", `{"Mountpoint": "`+link+`/slaves"}`)}, "is the agent's own"},
		{[]J{answering("g", `<html>`)}, "its answer is not what it should be"},
		{[]J{answering("h", strings.Repeat(" ", 100<<10))}, "its answer is not what it should be"},
	} {
		id := fmt.Sprintf("%s-%d", name, i)
		offer := s.AwaitOffer()
		s.Launch(offer, 0, withVolumes(offer, id, "true", nil, tc.volumes...))
		status := s.AwaitState(id, "TASK_FAILED")
		if message := status.Text("message"); !strings.Contains(message, tc.want) || status.Text("reason") != "REASON_CONTAINER_LAUNCH_FAILED" {
			t.Errorf("%s: %s %q, want %q", id, status.Text("reason"), message, tc.want)
		}
	}
	cluster.Eventually(t, soon, func() error { // what a plugin may have mounted is unmounted
		if n := p.Count(name+"g", "Unmount"); n != 1 {
			return fmt.Errorf("unmounted %d times", n)
		}
		return nil
	})
}

// volumeKilled kills the agent while a plugin mounts something: the next life of the
// agent unmounts it.
func volumeKilled(t *testing.T, s *cluster.Scheduler, c *containers, p *cluster.VolumePlugin, name string) {
	offer := s.AwaitOffer()
	s.Launch(offer, 0, withVolumes(offer, name, "exec sleep 1000", nil, driven(p, name, "v", "late", "200ms")))
	cluster.Eventually(t, soon, func() error {
		if p.Count(name, "Mount") == 0 {
			return errors.New("it is not mounted")
		}
		return nil
	})
	c.agent.Kill9()
	cluster.Eventually(t, soon, func() error {
		if p.Left() == nil {
			return errors.New("the plugin has not mounted it yet")
		}
		return nil
	})
	c.agent.Restart(t)
	cluster.Eventually(t, soon, func() error {
		if n := p.Count(name, "Unmount"); n != 1 {
			return fmt.Errorf("unmounted %d times", n)
		}
		return p.Left()
	})
}

// TestDockerVolumesOfEngine: the Docker Engine and a container of an OCI runtime see the
// same in a volume, also at a time; each asks the plugin for its own.
func TestDockerVolumesOfEngine(t *testing.T) {
	t.Parallel()
	needRuntime(t, "runc")
	p := cluster.StartVolumePlugin(t)
	engine := cluster.StartDocker(t)
	engine.Load(t)
	c := &containers{Master: cluster.StartMaster(t), root: fmt.Sprintf("meseta-e2e-%d-engine", os.Getpid())}
	t.Cleanup(func() { c.removeGroups(t) })
	c.agent = cluster.StartAgent(t, c.Master, slices.Concat(pluginFlags(t), launcherFlags["runc"], []string{
		"--containerizers=docker,mesos", "--docker_socket=" + engine.Socket, "--docker_remove_delay=1ms", "--cgroups_root=" + c.root,
	})...)
	s := cluster.Subscribe(t, c.Master, durable("both"))
	offer := s.AwaitOffer()
	theirs := dockered(offer, "theirs", "echo engine >/v/engine; until cat /v/runc; do sleep 0.1; done; exec sleep 1000", nil)
	theirs["container"].(J)["volumes"] = []J{driven(p, "both", "/v")}
	s.Launch(offer, 0, theirs,
		withVolumes(offer, "ours", "until cat v/engine; do sleep 0.1; done; echo runc >v/runc", nil, driven(p, "both", "v")))
	awaitAll(t, s, "TASK_FINISHED", "ours")
	cluster.Eventually(t, soon, func() error {
		if p.Count("both", "Unmount") != 1 {
			return errors.New("it is not unmounted for the one that has ended")
		}
		return nil
	})
	if got := sandboxText(t, c.agent, "ours", "stdout"); got != "engine\n" {
		t.Errorf("ours read %q", got)
	}
	cluster.Eventually(t, soon, func() error {
		if got := sandboxText(t, c.agent, "theirs", "stdout"); got != "runc\n" {
			return fmt.Errorf("theirs read %q", got)
		}
		return nil
	})
	s.Kill("theirs")
	s.AwaitState("theirs", "TASK_KILLED")
	s.Teardown()
	c.checkNothingLeft(t)
	cluster.Eventually(t, soon, func() error {
		if names := engine.Names(); len(names) > 0 { // the agent removes it
			return fmt.Errorf("the Engine has %v", names)
		}
		return p.Left()
	})
}

// TestDockerVolumeOwner: the top of a volume is the user's where the operator wants that,
// and else stays whose it is, be the container in a user namespace or not.
func TestDockerVolumeOwner(t *testing.T) {
	t.Parallel()
	p := cluster.StartVolumePlugin(t)
	for name, tc := range map[string]struct {
		flags   []string
		command string
	}{
		"given": {[]string{"--docker_volume_chown"}, "test -O v && test ! -O v/inner && echo >v/file"},
		"kept":  {nil, "test ! -O v && ! echo >v/file"},
		"users": {[]string{"--isolation=namespaces/pid,namespaces/user,filesystem/linux,docker/volume"}, "test -d v/inner && ! echo >v/file"},
	} {
		t.Run(name, func(t *testing.T) {
			runtimes := []string{"crun", "runc"}
			if name != "users" { // which LXC has none of
				runtimes = append(runtimes, "lxc")
			}
			flags := slices.DeleteFunc(pluginFlags(t), func(flag string) bool { return name == "users" && strings.HasPrefix(flag, "--isolation=") })
			withRuntimes(t, runtimes, append(flags, tc.flags...), func(t *testing.T, c *containers) {
				c.openToAll(t)
				volume := strings.ReplaceAll(t.Name(), "/", "-")
				if err := os.MkdirAll(filepath.Join(p.Data(volume), "inner"), 0o755); err != nil {
					t.Fatal(err)
				}
				s := cluster.Subscribe(t, c.Master, durable("owner"))
				offer := s.AwaitOffer()
				task := withVolumes(offer, "t", tc.command, nil, driven(p, volume, "v"))
				task["command"].(J)["user"] = "nobody"
				s.Launch(offer, 0, task)
				s.AwaitState("t", "TASK_FINISHED")
				s.Teardown()
				c.checkNothingLeft(t)
				cluster.Eventually(t, soon, p.Left)
			})
		})
	}
}
