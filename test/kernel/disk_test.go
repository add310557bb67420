package kernel

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

type J = cluster.J

// disks is an agent inside, whose work directory is on an XFS that counts projects, and
// a framework.
type disks struct {
	t      *testing.T
	master *cluster.Node
	agent  *cluster.Node
	*cluster.Scheduler
}

const counted = "--isolation=posix/cpu,posix/mem,disk/xfs"

func newDisks(t *testing.T, projects string, flags ...string) *disks {
	t.Helper()
	if os.Getenv("MESETA_INSIDE") == "" {
		t.Skip("TestInside runs it in its machine")
	}
	d := &disks{t: t, master: cluster.StartMaster(t)}
	d.agent = cluster.StartAgent(t, d.master, append([]string{"--enforce_container_disk_quota", "--xfs_project_range=" + projects}, flags...)...)
	info := cluster.Framework("writer", "keep")
	info["checkpoint"], info["failover_timeout"] = true, 600.0
	info["capabilities"] = append(info["capabilities"].([]J), J{"type": "RESERVATION_REFINEMENT"})
	d.Scheduler = cluster.Subscribe(t, d.master, info)
	return d
}

// disk is an amount of it, a persistent volume if it has a name.
func disk(mb float64, reserved bool, volume string) J {
	r := J{"name": "disk", "type": "SCALAR", "scalar": J{"value": mb}, "allocation_info": J{"role": "keep"}}
	if reserved {
		r["reservations"] = []J{{"type": "DYNAMIC", "role": "keep"}}
	}
	if volume != "" {
		r["disk"] = J{"persistence": J{"id": volume}, "volume": J{"mode": "RW", "container_path": "data"}}
	}
	return r
}

func task(offer cluster.Value, id, command string, disks ...J) J {
	t := cluster.Task(offer, id, command)
	t["resources"] = append(cluster.Resources(0.1, 32), disks...)
	return t
}

// project returns that of a folder, which xfs_io prints as "projid = 5000".
func (d *disks) project(dir string) string {
	d.t.Helper()
	out, err := exec.Command("xfs_io", "-r", "-c", "lsproj", dir).CombinedOutput()
	if err != nil {
		d.t.Fatalf("%v: %s", err, out)
	}
	return strings.TrimSpace(strings.TrimPrefix(string(out), "projid ="))
}

// sandbox returns the folder of the only run of a task.
func (d *disks) sandbox(task string) string {
	d.t.Helper()
	found, err := filepath.Glob(filepath.Join(d.agent.WorkDir, "slaves/*/frameworks/*/executors/"+task+"/runs/latest"))
	if err != nil || len(found) != 1 {
		d.t.Fatalf("%s has the sandboxes %v, %v", task, found, err)
	}
	dir, err := filepath.EvalSymlinks(found[0])
	if err != nil {
		d.t.Fatal(err)
	}
	return dir
}

// statistics returns what a task's container uses.
func (d *disks) statistics(task string) cluster.Value {
	d.t.Helper()
	for _, x := range cluster.MustGet(d.t, d.agent.URL+"/monitor/statistics").List("") {
		if x.Text("executor_id") == task {
			return x.Get("statistics")
		}
	}
	return cluster.Value{}
}

// TestFullForTheContainer: a sandbox and a volume hold what they were given, each for
// itself, and say how much that is. A volume is of the same project for the next task.
func TestFullForTheContainer(t *testing.T) {
	d := newDisks(t, "[5000-5002]", counted)
	const fill = "set -e; for d in . data; do head -c 2m /dev/zero >$d/two; if head -c 5m /dev/zero >$d/five; then exit 1; fi; rm $d/five; done; touch full; exec sleep 1000"
	offer, volume := d.AwaitOffer(), disk(6, true, "v")
	d.Accept(offer, 0,
		J{"type": "RESERVE", "reserve": J{"resources": []J{disk(6, true, "")}}},
		J{"type": "CREATE", "create": J{"volumes": []J{volume}}},
		J{"type": "LAUNCH", "launch": J{"task_infos": []J{task(offer, "fills", fill, disk(4, false, ""), volume)}}})
	d.AwaitState("fills", "TASK_RUNNING")
	sandbox, folder := d.sandbox("fills"), filepath.Join(d.agent.WorkDir, "volumes/roles/keep/v")
	cluster.Eventually(t, cluster.Patience, func() error {
		_, err := os.Stat(filepath.Join(sandbox, "full"))
		return err
	})
	if a, b := d.project(sandbox), d.project(folder); a != "5000" || b != "5001" || d.project(folder+"/two") != "5001" {
		t.Errorf("the sandbox is of project %s, the volume of %s", a, b)
	}
	used := d.statistics("fills")
	for _, h := range []struct {
		of    cluster.Value
		name  string
		limit float64
	}{{used, "disk_", 4 << 20}, {used.Find("disk_statistics", "limit_bytes", "6291456"), "", 6 << 20}} {
		if n := h.of.Number(h.name + "used_bytes"); n < 1<<20 || n > h.limit || h.of.Number(h.name+"limit_bytes") != h.limit {
			t.Errorf("%v", used)
		}
	}
	d.Kill("fills")
	d.AwaitState("fills", "TASK_KILLED")
	for offer = d.AwaitOffer(); !strings.Contains(offer.String(), "persistence"); offer = d.AwaitOffer() {
		d.Decline(offer, 0)
	}
	d.Launch(offer, 0, task(offer, "reads", "[ -s data/two ]", disk(1, false, ""), volume))
	d.AwaitState("reads", "TASK_FINISHED")
	if p := d.project(folder); p != "5001" {
		t.Errorf("the volume is of project %s then", p)
	}
}

// TestEndedForItsDisk: with --xfs_kill_containers a container that takes more than it
// was given is ended, by an agent that has found it again as well, and the project of a
// sandbox that is gone is the next one's.
func TestEndedForItsDisk(t *testing.T) {
	d := newDisks(t, "[5000-5000]", counted, "--xfs_kill_containers", "--container_disk_watch_interval=100ms", "--disk_watch_interval=100ms")
	offer := d.AwaitOffer()
	d.Launch(offer, 0, task(offer, "grows", "until [ -e go ]; do sleep 0.1; done; head -c 3m /dev/zero >three; exec sleep 1000", disk(2, false, "")))
	d.AwaitState("grows", "TASK_RUNNING")
	sandbox := d.sandbox("grows")
	d.agent.Kill9()
	d.agent.Restart(t)
	cluster.Eventually(t, cluster.Patience, func() error { return cluster.Registered(d.master, d.agent) })
	if err := os.WriteFile(filepath.Join(sandbox, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	status := d.AwaitState("grows", "TASK_FAILED")
	if m := status.Text("message"); status.Text("reason") != "REASON_CONTAINER_LIMITATION_DISK" || !strings.Contains(m, "exceeded quota (2MB)") {
		t.Errorf("%v", status)
	}
	offer = d.AwaitOffer()
	d.Launch(offer, 0, task(offer, "late", "true", disk(1, false, "")))
	if status := d.AwaitState("late", "TASK_FAILED"); !strings.Contains(status.Text("message"), "Failed to assign project ID, range exhausted") {
		t.Errorf("%v", status)
	}
	if err := os.RemoveAll(sandbox); err != nil {
		t.Fatal(err)
	}
	cluster.Eventually(t, cluster.Patience, func() error {
		if cluster.MustGet(t, d.agent.URL+"/metrics/snapshot").Number("containerizer/mesos/disk/project_ids_free") != 1 {
			return errors.New("the project is not free")
		}
		return nil
	})
	offer = d.AwaitOffer()
	d.Launch(offer, 0, task(offer, "next", "touch file", disk(1, false, "")))
	d.AwaitState("next", "TASK_FINISHED")
	if p := d.project(d.sandbox("next")); p != "5000" {
		t.Errorf("the next is of project %s", p)
	}
}

// TestImageIsTheSandboxes: what is written in the root of an image counts as what is
// written in the sandbox does.
func TestImageIsTheSandboxes(t *testing.T) {
	images := t.TempDir()
	cluster.WriteImage(t, images, "box:1", J{})
	d := newDisks(t, "[5000-5002]", "--launcher=oci", "--isolation=cgroups/mem,namespaces/pid,disk/xfs",
		"--image_providers=DOCKER", "--docker_registry="+images, "--docker_store_dir="+images+"/store")
	offer := d.AwaitOffer()
	in := task(offer, "in", "head -c 2m /dev/zero >/two; head -c 5m /dev/zero >/five || { rm /five; touch full; exec sleep 1000; }", disk(4, false, ""))
	in["container"] = J{"type": "MESOS", "mesos": J{"image": J{"type": "DOCKER", "docker": J{"name": "box:1"}}}}
	d.Launch(offer, 0, in)
	d.AwaitState("in", "TASK_RUNNING")
	sandbox := d.sandbox("in")
	cluster.Eventually(t, cluster.Patience, func() error {
		_, err := os.Stat(filepath.Join(sandbox, "full"))
		return err
	})
	if n := d.statistics("in").Number("disk_used_bytes"); n < 2<<20 || n > 4<<20 {
		t.Errorf("%v bytes are used", n)
	}
	d.Kill("in")
	d.AwaitState("in", "TASK_KILLED")
	cluster.Eventually(t, cluster.Patience, func() error {
		roots, err := filepath.Glob(filepath.Join(d.agent.WorkDir, "provisioner/containers/*"))
		if len(roots) > 0 {
			return fmt.Errorf("there still is %v", roots)
		}
		return err
	})
}

// TestMachine: inside is what tests are to have there.
func TestMachine(t *testing.T) {
	if os.Getenv("MESETA_INSIDE") == "" {
		t.Skip("TestInside runs it in its machine")
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || !strings.Contains(string(mounts), " /sys/fs/cgroup cgroup2 ") || strings.Contains(string(mounts), " cgroup rw") {
		t.Errorf("control groups are not those of version 2 alone: %s %v", mounts, err)
	}
	if text, err := os.ReadFile("/sys/kernel/security/lsm"); err != nil || !strings.Contains(string(text), "apparmor") {
		t.Errorf("no AppArmor: %s %v", text, err)
	}
}
