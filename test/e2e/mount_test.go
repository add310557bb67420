package e2e

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

func hostPath(at, path, mode string) J {
	return J{"container_path": at, "mode": mode, "source": J{"type": "HOST_PATH", "host_path": J{"path": path}}}
}

func sandboxPath(at, kind, path string) J {
	return J{"container_path": at, "mode": "RW", "source": J{"type": "SANDBOX_PATH", "sandbox_path": J{"type": kind, "path": path}}}
}

// mounted gives a task volumes.
func mounted(task J, volumes ...J) J {
	if task["container"] == nil {
		task["container"] = J{"type": "MESOS"}
	}
	task["container"].(J)["volumes"] = volumes
	return task
}

// TestVolumesOfContainers gives tasks volumes of all kinds, with an image and
// without.
func TestVolumesOfContainers(t *testing.T) {
	t.Parallel()
	eachRoot(t, volumesOfContainers)
}

func volumesOfContainers(t *testing.T, runtime string) {
	t.Helper()
	c := cluster.New(t, 0)
	host := t.TempDir()
	if err := os.WriteFile(filepath.Join(host, "file"), []byte("host\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	agent := withImages(t, c.Master, runtime, "--host_path_volume_force_creation="+host)
	p := &probing{cluster.Subscribe(t, c.Master, durable("volumes")), agent}
	volumes := func(absolute string) []J {
		return []J{
			hostPath(absolute, host, "RW"), hostPath("ro", filepath.Join(host, "file"), "RO"), hostPath("new/made", filepath.Join(host, "missing"), "RW"),
			{"container_path": "image", "mode": "RO", "image": J{"type": "DOCKER", "docker": J{"name": "box:1"}}},
		}
	}
	check := `set -e; cd $MESOS_SANDBOX; cat %/file ro; ls -d image/etc/box; echo written >%/written; echo x >new/made/x
		if echo x >ro || mkdir image/x; then exit 9; fi`
	for name, task := range map[string]J{"image": {"container": boxed("box:1")}, "plain": {}} {
		t.Run(name, func(t *testing.T) {
			at := map[string]string{"image": "/data/deep", "plain": host}[name]
			offer := p.offer()
			info := cluster.Task(offer, name, strings.ReplaceAll(check, "%", at))
			maps.Copy(info, task)
			p.s.Launch(offer, 0, mounted(info, volumes(at)...))
			p.s.AwaitState(name, "TASK_FINISHED")
			if got := sandboxText(t, agent, name, "stdout"); got != strings.Repeat("host\n", 2)+"image/etc/box\n" {
				t.Errorf("stdout %q", got)
			}
			for _, file := range []string{"written", "missing/x"} {
				if err := os.Remove(filepath.Join(host, file)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	t.Run("sandbox", func(t *testing.T) { sandboxVolumes(t, p) })
	t.Run("refused", func(t *testing.T) { volumesRefused(t, p) })
	unmounted(t, agent.WorkDir)
}

// sandboxVolumes: a folder of the sandbox is seen elsewhere, and tasks of a pod
// share one of the pod's, as whoever they run.
func sandboxVolumes(t *testing.T, p *probing) {
	offer := p.offer()
	own := cluster.Task(offer, "own", "echo mine >/data/file; cat $MESOS_SANDBOX/sub/file")
	own["container"] = boxed("box:1")
	p.s.Launch(offer, 0, mounted(own, sandboxPath("/data", "SELF", "sub")))
	p.s.AwaitState("own", "TASK_FINISHED")
	if got := sandboxText(t, p.agent, "own", "stdout"); got != "mine\n" {
		t.Errorf("stdout %q", got)
	}
	offer = p.offer()
	writes := mounted(cluster.Task(offer, "writes", "echo shared >out/new; mv out/new out/file"), sandboxPath("out", "PARENT", "shared"))
	reads := cluster.Task(offer, "reads", "until grep -q shared /in/file; do sleep 0.05; done")
	reads["container"] = boxed("box:1")
	for _, task := range []J{writes, reads} {
		task["command"].(J)["user"] = "nobody"
	}
	launchPod(p.s, offer, "sharing", writes, mounted(reads, sandboxPath("/in", "PARENT", "shared")))
	awaitAll(t, p.s, "TASK_FINISHED", "writes", "reads")
}

// volumesRefused: what leads out, or into the agent, is no volume, and the task is
// told why.
func volumesRefused(t *testing.T, p *probing) {
	for id, test := range map[string]struct {
		volume J
		why    string
	}{
		"agent":  {hostPath("v", p.agent.WorkDir, "RO"), "is the agent's own"},
		"none":   {hostPath("v", "/no/such", "RO"), "not whitelisted for creation"},
		"up":     {hostPath("../v", "/usr", "RO"), "contains '..'"},
		"upward": {sandboxPath("/usr", "SELF", "../../x"), "contains '..'"},
		"parent": {sandboxPath("v", "PARENT", "x"), "only works for nested container"},
		"absent": {hostPath("/no/such", "/usr", "RO"), "It must exist if the container shares the host filesystem"},
	} {
		offer := p.offer()
		p.s.Launch(offer, 0, mounted(cluster.Task(offer, id, "true"), test.volume))
		if got := p.s.AwaitState(id, "TASK_FAILED"); got.Text("reason") != "REASON_CONTAINER_LAUNCH_FAILED" || !strings.Contains(got.Text("message"), test.why) {
			t.Errorf("%s: %v", id, got)
		}
	}
}

// TestVolumesNeedLauncher: an agent of plain processes refuses volumes, and does not
// run the task without.
func TestVolumesNeedLauncher(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := cluster.Subscribe(t, c.Master, cluster.Framework("f", "*"))
	offer := s.AwaitOffer()
	s.Launch(offer, 0, mounted(cluster.Task(offer, "t", "true"), hostPath("v", "/usr", "RO")))
	if got := s.AwaitState("t", "TASK_FAILED").Text("message"); !strings.Contains(got, "Volumes in ContainerInfo is not supported") {
		t.Errorf("message %q", got)
	}
}

// TestVolumeCannotBeAdded: a task whose volume cannot be put into the sandbox of its
// executor does not go on without it.
func TestVolumeCannotBeAdded(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	info := durable("adds")
	info["roles"] = []string{"adds"}
	info["capabilities"] = append(info["capabilities"].([]J), J{"type": "RESERVATION_REFINEMENT"})
	s := cluster.Subscribe(t, c.Master, info)
	reserved, volume := volumeDisk("adds", "v")
	volume["disk"].(J)["volume"].(J)["container_path"] = "stdout" // where something is already
	p := &probing{s, c.Agents[0]}
	own := func(offer cluster.Value, id string) J {
		task := cluster.Task(offer, id, "")
		delete(task, "command")
		task["executor"] = cluster.Executor("executor")
		return task
	}
	offer := p.offer()
	s.Accept(offer, 0,
		J{"type": "RESERVE", "reserve": J{"resources": []J{reserved}}}, J{"type": "CREATE", "create": J{"volumes": []J{volume}}},
		J{"type": "LAUNCH", "launch": J{"task_infos": []J{own(offer, "first")}}})
	s.AwaitState("first", "TASK_RUNNING")
	for offer = p.offer(); !hasVolume(offer, "v"); offer = p.offer() {
		s.Decline(offer, 0)
	}
	second := own(offer, "second")
	second["resources"] = append(cluster.Resources(0.1, 32), volume)
	s.Launch(offer, 0, second)
	for _, id := range []string{"first", "second"} {
		status := s.AwaitUpdate(id)
		for state := status.Text("state"); state == "TASK_STARTING" || state == "TASK_RUNNING"; state = status.Text("state") {
			status = s.AwaitUpdate(id)
		}
		if !strings.Contains(status.Text("message"), "Failed to update resources for container: ") || status.Text("reason") != "REASON_CONTAINER_UPDATE_FAILED" {
			t.Errorf("%v", status)
		}
	}
}

// TestPersistentVolumeOfImage: a task with an image sees its volume at an absolute
// path, and keeps it while the agent is killed.
func TestPersistentVolumeOfImage(t *testing.T) {
	t.Parallel()
	eachRoot(t, persistentVolumeOfImage)
}

func persistentVolumeOfImage(t *testing.T, runtime string) {
	t.Helper()
	c := cluster.New(t, 0)
	agent := withImages(t, c.Master, runtime)
	info := durable("keeper")
	info["roles"] = []string{"keep"}
	info["capabilities"] = append(info["capabilities"].([]J), J{"type": "RESERVATION_REFINEMENT"})
	p := &probing{cluster.Subscribe(t, c.Master, info), agent}
	reserved, volume := volumeDisk("keep", "v1")
	volume["disk"].(J)["volume"] = J{"mode": "RW", "container_path": "/kept/here"}
	offer := p.offer()
	task := withVolume(offer, "keeps", "until [ -e $MESOS_SANDBOX/go ]; do sleep 0.05; done; echo kept >/kept/here/file", volume)
	task["container"] = boxed("box:1")
	p.s.Accept(offer, 0,
		J{"type": "RESERVE", "reserve": J{"resources": []J{reserved}}}, J{"type": "CREATE", "create": J{"volumes": []J{volume}}},
		J{"type": "LAUNCH", "launch": J{"task_infos": []J{task}}})
	p.s.AwaitState("keeps", "TASK_RUNNING")
	agent.Kill9()
	agent.Restart(t)
	writeSandbox(t, agent, "keeps", "go", "")
	p.s.AwaitState("keeps", "TASK_FINISHED")
	if text, err := os.ReadFile(filepath.Join(agent.WorkDir, "volumes/roles/keep/v1/file")); err != nil || string(text) != "kept\n" {
		t.Errorf("the volume has %q, %v", text, err)
	}
	unmounted(t, agent.WorkDir)
}
