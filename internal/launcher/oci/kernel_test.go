package oci_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/launcher/lxc"
	"github.com/meseta-project/meseta/internal/launcher/oci"
)

// machine is one launcher on this machine, for tests of what isolators do there.
type testMachine struct {
	*oci.Launcher
	t *testing.T
	n int
}

func onKernel(t *testing.T, test func(m *testMachine), change func(*oci.Config)) {
	on(t, starters, test, change)
}

// onRuntimes is onKernel for what LXC is not asked for.
func onRuntimes(t *testing.T, test func(m *testMachine), change func(*oci.Config)) {
	on(t, runtimes, test, change)
}

func on(t *testing.T, starters []string, test func(m *testMachine), change func(*oci.Config)) {
	each(t, starters, func(t *testing.T, name string) {
		cfg := config(t, name)
		if change != nil {
			change(&cfg)
		}
		test(&testMachine{Launcher: open(t, cfg), t: t})
	})
}

// spec is that of a shell command with its sandbox as the working directory.
func (m *testMachine) spec(command string, change func(*launcher.Spec)) *launcher.Spec {
	m.t.Helper()
	m.n++
	dir := m.t.TempDir()
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { out.Close() })
	spec := &launcher.Spec{
		ID: "k" + strconv.Itoa(m.n), Path: "/bin/sh", Args: []string{"/bin/sh", "-c", command}, Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
		Dir: dir, Stdout: out, Stderr: out, Status: filepath.Join(m.t.TempDir(), "status"), Resources: launcher.Resources{CPUs: 1, Mem: 64},
	}
	if change != nil {
		change(spec)
	}
	return spec
}

// fork starts a shell command.
func (m *testMachine) fork(command string, change func(*launcher.Spec)) (launcher.Process, *launcher.Spec) {
	m.t.Helper()
	spec := m.spec(command, change)
	if err := syscall.Mkfifo(filepath.Join(spec.Dir, "ready"), 0o666); err != nil {
		m.t.Fatal(err)
	}
	p, err := m.Fork(spec)
	if err != nil {
		text, _ := os.ReadFile(filepath.Join(spec.Dir, "out"))
		m.t.Fatalf("%v: %s", err, text)
	}
	m.t.Cleanup(func() {
		if err := m.Release(spec.ID); err != nil {
			m.t.Error(err)
		}
	})
	return p, spec
}

// run returns how a command ended and what it printed.
func (m *testMachine) run(command string, change func(*launcher.Spec)) (launcher.Process, syscall.WaitStatus, string) {
	m.t.Helper()
	p, spec := m.fork(command, change)
	status, err := p.Wait()
	if err != nil {
		m.t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(spec.Dir, "out"))
	if err != nil {
		m.t.Fatal(err)
	}
	return p, syscall.WaitStatus(status), strings.TrimSpace(string(text))
}

// prints checks what a command prints.
func (m *testMachine) prints(command, want string, change func(*launcher.Spec)) {
	m.t.Helper()
	if _, _, got := m.run(command, change); got != want {
		m.t.Errorf("%s printed %q, want %q", command, got, want)
	}
}

// refuses checks that a container is not made, and why.
func (m *testMachine) refuses(change func(*launcher.Spec), why string) {
	m.t.Helper()
	spec := m.spec("true", change)
	if _, err := m.Fork(spec); err == nil || !strings.Contains(err.Error(), why) {
		m.t.Errorf("it is made, or is not for another reason: %v", err)
	}
	if _, err := os.Stat(m.Bundle(spec.ID)); err == nil {
		m.t.Error("something of it is left")
	}
}

// fails checks that a command cannot be done.
func (m *testMachine) fails(command string, change func(*launcher.Spec)) {
	m.t.Helper()
	if _, status, got := m.run(command, change); status == 0 {
		m.t.Errorf("%s was possible: %q", command, got)
	}
}

const hog = `x=aaaaaaaaaaaaaaaa; while :; do x="$x$x"; done`

func TestMemoryHog(t *testing.T) {
	onKernel(t, func(m *testMachine) {
		for name, command := range map[string]string{"itself": hog, "a child, of which the shell does not end": "sh -c '" + hog + "'; sleep 1000"} {
			p, status, _ := m.run(command, func(s *launcher.Spec) { s.Resources.Mem = 40 })
			limit := p.Limitation()
			if limit == nil {
				t.Fatalf("%s: no limitation; wait status %#x", name, int(status))
			}
			if status.Signal() != syscall.SIGKILL || limit.Reason != mesos.TaskStatus_REASON_CONTAINER_LIMITATION_MEMORY {
				t.Errorf("%s: wait status %#x, %v", name, int(status), limit.Reason)
			}
			if want := "Memory limit exceeded: Requested: 40MB Maximum Used: 40MB\n\nMEMORY STATISTICS: \n"; !strings.HasPrefix(limit.Message, want) {
				t.Errorf("%s: message %q", name, limit.Message)
			}
			if limit.Resource != "mem" || limit.Amount != 40 {
				t.Errorf("%s: amount %v of %s", name, limit.Amount, limit.Resource)
			}
		}
	}, nil)
}

func TestWithinMemoryThereIsNoLimitation(t *testing.T) {
	onKernel(t, func(m *testMachine) {
		if p, status, _ := m.run("kill -9 $$", nil); status.Signal() != syscall.SIGKILL || p.Limitation() != nil {
			t.Errorf("wait status %#x, %+v", int(status), p.Limitation())
		}
	}, nil)
}

// What a container used is compared with the periods that it was let run in, and with
// those in which it had used all that it gets, so neither the machine's load nor its
// speed matters. What the runtime took to start it is not held to the quota.
func TestCPUQuota(t *testing.T) {
	onKernel(t, func(m *testMachine) {
		p, spec := m.fork("echo up > ready; while :; do :; done", func(s *launcher.Spec) { s.Resources.CPUs = 0.2 })
		if _, err := os.ReadFile(filepath.Join(spec.Dir, "ready")); err != nil {
			m.t.Fatal(err)
		}
		before := p.Usage().Cgroup
		after := before
		for after.GetCpusNrThrottled() < before.GetCpusNrThrottled()+20 {
			if after = p.Usage().Cgroup; after == nil {
				m.t.Fatal("it is not measured")
			}
			runtime.Gosched()
		}
		periods := after.GetCpusNrPeriods() - before.GetCpusNrPeriods()
		throttled := after.GetCpusNrThrottled() - before.GetCpusNrThrottled()
		allowed, due := float64(periods+1)*0.020, float64(throttled)*0.020
		if got := cpu(after) - cpu(before); got > 1.1*allowed+0.02 || got < 0.9*due-0.02 {
			m.t.Errorf("used %.3f s in %d periods, throttled in %d; allowed are %.3f s, due %.3f s", got, periods, throttled, allowed, due)
		}
		if m.Config().Machine.Unified && p.Usage().Stalls["cpu"].Some.Total == 0 {
			m.t.Errorf("it was held back, and never waited: %+v", p.Usage().Stalls)
		}
		m.end(p)
	}, func(c *oci.Config) { c.CFS = true })
}

// TestCPUShares: of a processor that two containers want for themselves each has its part.
// What they used is compared, however little others leave to both.
func TestCPUShares(t *testing.T) {
	onKernel(t, func(m *testMachine) {
		begin := func(cpus float64) launcher.Process {
			p, spec := m.fork("taskset -p -c $CPU $$ >/dev/null; echo up > ready; while :; do :; done", func(s *launcher.Spec) {
				s.Resources.CPUs, s.Env = cpus, append(s.Env, "CPU="+oneProcessor(m.t))
			})
			m.t.Cleanup(func() { m.end(p) })
			if _, err := os.ReadFile(filepath.Join(spec.Dir, "ready")); err != nil {
				m.t.Fatal(err)
			}
			return p
		}
		small, large := begin(0.5), begin(2)
		before, most := cpu(small.Usage().Cgroup), cpu(large.Usage().Cgroup)
		for { // where a processor is taken away for long, as in a virtual machine, it takes several turns
			runtime.Gosched()
			used := cpu(small.Usage().Cgroup) - before
			times := (cpu(large.Usage().Cgroup) - most) / used
			if used >= 0.3 && times > 3 && times < 5 {
				return
			}
			if used > 3 {
				m.t.Fatalf("with four times the share it had %.2f times the processor", times)
			}
		}
	}, nil)
}

// oneProcessor returns the number of a processor that this process may use.
func oneProcessor(t *testing.T) string {
	t.Helper()
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	for i := range 1024 {
		if set.IsSet(i) {
			return strconv.Itoa(i)
		}
	}
	t.Fatal("there is no processor")
	return ""
}

func cpu(of *mesos.ResourceStatistics) float64 {
	return of.GetCpusUserTimeSecs() + of.GetCpusSystemTimeSecs()
}

func (m *testMachine) end(p launcher.Process) {
	m.t.Helper()
	if err := p.Kill(); err != nil {
		m.t.Fatal(err)
	}
	if _, err := p.Wait(); err != nil {
		m.t.Fatal(err)
	}
}

func TestForkBomb(t *testing.T) {
	onKernel(t, func(m *testMachine) {
		_, status, got := m.run("i=0; while [ $i -lt 60 ]; do sleep 1000 & i=$((i+1)); done", nil)
		if status == 0 || !strings.Contains(got, "Cannot fork") {
			t.Errorf("wait status %#x, printed %q", int(status), got)
		}
	}, func(c *oci.Config) { c.PidsMax = 20 })
}

// A bomb that goes on to fork, whatever dies of it, is held, and can be killed.
func TestForkBombThatGoesOn(t *testing.T) {
	const most = 64
	onKernel(t, func(m *testMachine) {
		p, spec := m.fork(`mkfifo said; echo 'while :; do sh ./bomb & done' > bomb
			grep -m1 fork < said > ready &
			sh ./bomb 2> said & exec sleep 1000`, nil)
		if said, err := os.ReadFile(filepath.Join(spec.Dir, "ready")); err != nil || !strings.Contains(string(said), "Cannot fork") {
			t.Errorf("the bomb was not held: %q, %v", said, err)
		}
		if n, ok := m.Group("pids", spec.ID, "pids.current"); !ok || n > most {
			t.Errorf("%d processes, %t", n, ok)
		}
		m.end(p)
		if n := p.Usage().Cgroup.GetProcesses(); n != 0 {
			t.Errorf("%d processes after the end", n)
		}
	}, func(c *oci.Config) { c.PidsMax = most })
}

func TestUpdate(t *testing.T) {
	onKernel(t, func(m *testMachine) {
		p, spec := m.fork("exec sleep 1000", nil)
		for _, step := range []struct {
			mem, cpus    float64
			limit, share uint64
		}{{128, 2, 128 << 20, 2048}, {64, 0.5, 128 << 20, 512}} { // a hard limit is never lowered
			if err := p.Update(launcher.Resources{CPUs: step.cpus, Mem: step.mem}); err != nil {
				t.Fatal(err)
			}
			limit := m.MemoryLimit(spec.ID)
			share, ok := m.Group("cpu", spec.ID, "cpu.shares")
			if limit != step.limit || ok && share != step.share {
				t.Errorf("%+v: limit %d, shares %d", step, limit, share)
			}
		}
		m.end(p)
		if err := errors.Join(m.Release(spec.ID), p.Update(launcher.Resources{CPUs: 1, Mem: 256})); err != nil {
			t.Errorf("when it is gone: %v", err)
		}
	}, nil)
}

// TestTaskLimits: what a task was given is its share and its soft limit, its own limits
// are the hard ones, and who may burst is the first to go.
func TestTaskLimits(t *testing.T) {
	onKernel(t, func(m *testMachine) {
		p, spec := m.fork("exec sleep 1000", func(s *launcher.Spec) {
			s.Resources = launcher.Resources{CPUs: 0.5, CPULimit: 1.5, Mem: 40, MemLimit: 80}
		})
		defer m.end(p)
		files := [][3]string{
			{"cpu", "cpu.shares", "512"},
			{"cpu", "cpu.cfs_quota_us", "150000"},
			{"memory", "memory.soft_limit_in_bytes", "41943040"},
			{"memory", "memory.limit_in_bytes", "83886080"},
		}
		if m.Config().Machine.Unified {
			files = [][3]string{{"cpu", "cpu.weight", "20"}, {"cpu", "cpu.max", "150000 100000"}, {"memory", "memory.low", "41943040"}, {"memory", "memory.max", "83886080"}}
		}
		for _, f := range files {
			if text, err := os.ReadFile(filepath.Join(m.GroupDir(f[0], spec.ID), f[1])); err != nil || strings.TrimSpace(string(text)) != f[2] {
				m.t.Errorf("%s is %s, %v; want %s", f[1], text, err, f[2])
			}
		}
		if adj := ofProcess(m.t, p.First(), "oom_score_adj"); adj == "0\n" {
			m.t.Error("who may burst is as good as others")
		}
	}, nil)
}

// TestLimitSwap: with it a container has no swap besides its memory, also when it is to
// have more memory.
func TestLimitSwap(t *testing.T) {
	onKernel(t, func(m *testMachine) {
		p, spec := m.fork("exec sleep 1000", func(s *launcher.Spec) { s.Resources = launcher.Resources{CPUs: 1, Mem: 40} })
		defer m.end(p)
		file, wants := "memory.memsw.limit_in_bytes", []string{"41943040", "83886080"}
		if m.Config().Machine.Unified {
			file, wants = "memory.swap.max", []string{"0", "0"}
		}
		for i, mem := range []uint64{40, 80} {
			if err := p.Update(launcher.Resources{CPUs: 1, Mem: float64(mem)}); err != nil || m.MemoryLimit(spec.ID) != mem<<20 {
				m.t.Errorf("the limit is %d: %v", m.MemoryLimit(spec.ID), err)
			}
			text, err := os.ReadFile(filepath.Join(m.GroupDir("memory", spec.ID), file))
			if errors.Is(err, os.ErrNotExist) {
				m.t.Skip("this kernel does not count swap")
			}
			if strings.TrimSpace(string(text)) != wants[i] {
				m.t.Errorf("%s is %s, %v; want %s", file, text, err, wants[i])
			}
		}
	}, func(c *oci.Config) { c.LimitSwap = true })
}

func TestStatistics(t *testing.T) {
	onKernel(t, func(m *testMachine) {
		p, spec := m.fork("sleep 1000 & echo up > ready; wait", nil)
		if _, err := os.ReadFile(filepath.Join(spec.Dir, "ready")); err != nil {
			t.Fatal(err)
		}
		got := p.Usage().Cgroup
		if got.GetProcesses() != 2 || got.GetThreads() != 2 || got.GetMemTotalBytes() == 0 || got.CpusUserTimeSecs == nil || got.MemRssBytes == nil {
			t.Errorf("%v", got)
		}
		m.end(p)
	}, nil)
}

// A container that has no memory for its files' cache is under pressure, and runs.
func TestMemoryPressure(t *testing.T) {
	onKernel(t, func(m *testMachine) {
		p, spec := m.fork("dd if=/dev/zero of=$FILE bs=1M count=96 2>&1 && echo up > ready && sleep 1000", func(s *launcher.Spec) {
			f, err := os.CreateTemp(onDisk(t), "meseta-pressure-")
			if err != nil {
				t.Fatal(err)
			}
			f.Close()
			t.Cleanup(func() { os.Remove(f.Name()) })
			s.Env, s.Resources.Mem = append(s.Env, "FILE="+f.Name()), 32
		})
		if up, err := os.ReadFile(filepath.Join(spec.Dir, "ready")); err != nil || len(up) == 0 {
			t.Fatal(err)
		}
		first, second := p.Usage(), p.Usage()
		if m.Config().Machine.Unified {
			if first.Stalls["memory"].Some.Total == 0 {
				t.Errorf("%+v", first.Stalls)
			}
		} else if got := first.Cgroup.GetMemLowPressureCounter(); got == 0 || second.Cgroup.GetMemLowPressureCounter() < got || second.Cgroup.MemCriticalPressureCounter == nil {
			t.Errorf("%v, then %v", first.Cgroup, second.Cgroup)
		}
		m.end(p)
	}, nil)
}

// onDisk returns a folder for temporary files that are not in memory.
func onDisk(t *testing.T) string {
	t.Helper()
	var at unix.Statfs_t
	if err := unix.Statfs(os.TempDir(), &at); err != nil {
		t.Fatal(err)
	}
	if at.Type == unix.TMPFS_MAGIC {
		return "/var/tmp"
	}
	return os.TempDir()
}

func TestNamespaces(t *testing.T) {
	onKernel(t, func(m *testMachine) {
		m.prints("cd /proc; set -- [0-9]*; echo $#; tr '\\0' ' ' < /proc/1/cmdline | cut -d' ' -f1", "2\ninit", nil) // the shell, and the init
		m.prints("ls -A /dev/shm; df -B1M --output=size /dev/shm | tail -1 | tr -d ' '", "5", func(s *launcher.Spec) {
			s.Container = oci.Linux(&mesos.LinuxInfo{ShmSize: new(uint32(5)), IpcMode: mesos.LinuxInfo_PRIVATE.Enum()})
		})
		pid := strconv.Itoa(os.Getpid())
		m.fails("kill -0 "+pid, nil)
		m.prints("kill -0 "+pid+" && echo ok", "ok", func(s *launcher.Spec) {
			s.Container = oci.Linux(&mesos.LinuxInfo{SharePidNamespace: new(true), IpcMode: mesos.LinuxInfo_SHARE_PARENT.Enum()})
		})
	}, nil)
}

func TestRights(t *testing.T) {
	nobody := &launcher.User{UID: 65534, GID: 65534}
	onKernel(t, func(m *testMachine) {
		m.prints("grep -e CapEff -e CapBnd /proc/self/status | cut -f2", "00000000a80425fb\n00000000a80425fb", nil)
		asks := func(s *launcher.Spec) {
			s.User, s.Container = nobody, oci.Linux(&mesos.LinuxInfo{EffectiveCapabilities: oci.Caps(mesos.CapabilityInfo_NET_RAW)})
		}
		if _, ok := m.Config().Starter.(*lxc.Tools); ok {
			m.refuses(asks, "which LXC cannot give")
		} else {
			m.prints("grep CapEff /proc/self/status | cut -f2", "0000000000002000", asks)
		}
		m.prints("grep NoNewPrivs /proc/self/status | cut -f2", "1", nil)
		soft, hard := uint64(50), uint64(60)
		m.prints("ulimit -S -n; ulimit -H -n", "50\n60", func(s *launcher.Spec) {
			s.Container = &mesos.ContainerInfo{RlimitInfo: &mesos.RLimitInfo{Rlimits: []*mesos.RLimitInfo_RLimit{
				{Type: mesos.RLimitInfo_RLimit_RLMT_NOFILE.Enum(), Soft: &soft, Hard: &hard},
			}}}
		})
	}, func(c *oci.Config) { c.Isolation = append(slices.Clip(c.Isolation), "linux/nnp") })
}

// TestStarterOutOfReach: a task that is the very program that has started it, as
// CVE-2019-5736 had it, is a copy and can change nothing. Runtimes see to it themselves.
func TestStarterOutOfReach(t *testing.T) {
	m := &testMachine{Launcher: open(t, config(t, "lxc")), t: t}
	p, _ := m.fork("", func(s *launcher.Spec) { // it waits for what the pipe tells it of a configuration
		s.Path, s.Args = "/proc/self/exe", []string{"/proc/self/exe", "-n", "x", "-P", "/proc", "-q", "-o", "none", "-f", "ready"}
	})
	defer m.end(p)
	if got := ofProcess(t, p.First(), "exe"); !strings.HasPrefix(got, "/memfd:") {
		t.Errorf("it is %s", got)
	}
}

// TestLimitThatCannotBe: where a container cannot be held to what it asks for it is
// not started, and nothing of it stays.
func TestLimitThatCannotBe(t *testing.T) {
	onKernel(t, func(m *testMachine) {
		many, dir := uint64(1)<<40, ""
		m.refuses(func(s *launcher.Spec) {
			s.Args[2], dir = "touch started", s.Dir
			s.Container = &mesos.ContainerInfo{RlimitInfo: &mesos.RLimitInfo{Rlimits: []*mesos.RLimitInfo_RLimit{
				{Type: mesos.RLimitInfo_RLimit_RLMT_NOFILE.Enum(), Soft: &many, Hard: &many},
			}}}
		}, m.Config().Starter.Name()+": ")
		if _, err := os.Stat(filepath.Join(dir, "started")); err == nil {
			m.t.Error("it was started")
		}
	}, nil)
}

func TestSeccomp(t *testing.T) {
	onKernel(t, func(m *testMachine) {
		m.fails("mkdir made", nil)
		m.prints("mkdir made && echo made", "made", func(s *launcher.Spec) {
			s.Container = oci.Linux(&mesos.LinuxInfo{Seccomp: &mesos.SeccompInfo{Unconfined: new(true)}})
		})
	}, func(c *oci.Config) {
		c.Isolation = append(slices.Clip(c.Isolation), "linux/seccomp")
		c.SeccompDir, c.SeccompProfile = t.TempDir(), "strict.json"
		if err := os.WriteFile(filepath.Join(c.SeccompDir, c.SeccompProfile), []byte(oci.ProfileText), 0o600); err != nil {
			t.Fatal(err)
		}
	})
}

func TestDevices(t *testing.T) {
	onKernel(t, func(m *testMachine) {
		m.prints("echo x > /dev/null && head -c1 /dev/zero | wc -c; [ -c /dev/fuse ] && echo listed", "1\nlisted", nil)
		m.fails("mknod /dev/disk b 7 0 && head -c1 /dev/disk", nil)
		m.fails("mknod /dev/memory c 1 1 && head -c1 /dev/memory", nil)
	}, func(c *oci.Config) {
		c.Isolation = append(slices.Clip(c.Isolation), "linux/devices")
		c.Devices = []oci.Device{{Path: "/dev/fuse", Type: "c", Major: 10, Minor: 229, Access: "rw", Mode: 0o666}}
	})
}

// What a task that is root may try against the machine and its neighbours.
func TestEscapes(t *testing.T) {
	work := t.TempDir()
	other := filepath.Join(work, "other")
	if err := os.WriteFile(other, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	onKernel(t, func(m *testMachine) {
		var script strings.Builder
		for _, attempt := range []string{
			"echo x > /proc/sys/kernel/hostname", "echo 1 > /proc/sysrq-trigger", "echo core > /proc/sys/kernel/core_pattern",
			"echo 1 > /sys/kernel/mm/ksm/run", "mkdir /sys/fs/cgroup/x", "head -c1 /proc/kcore | grep -q .", "mount -t tmpfs x /mnt",
			"mount -o remount,rw /sys", "mount -t cgroup -o memory x /mnt", "umount -l /proc/sys", "umount " + work, "cat " + other,
			"ls /proc/1/root/", "cat /proc/1/environ", "readlink /proc/1/exe", "nsenter -t 1 -m true", "unshare -m true", "chroot /proc/1/root true",
			"kill -9 1; [ ! -e /proc/1 ]", "reboot -f",
		} {
			fmt.Fprintf(&script, "(%s) 2>/dev/null && echo 'possible: %s'\n", attempt, attempt)
		}
		m.prints(script.String()+"echo tried", "tried", nil)
		_, status, _ := m.run("touch here && ls -d $PWD", nil)
		if status != 0 {
			t.Error("the sandbox cannot be used")
		}
	}, func(c *oci.Config) { c.Hidden = []string{work} })
}

// TestExecWhereLauncherIsHidden: a container that cannot see what the launcher works
// with can be entered all the same; who enters is in its namespaces and groups.
func TestExecWhereLauncherIsHidden(t *testing.T) {
	onKernel(t, func(m *testMachine) {
		outer, spec := m.fork("exec sleep 1000", nil)
		defer m.end(outer)
		further := m.spec("exec sleep 1000", nil)
		further.Dir = spec.Dir
		inside, err := m.Exec(spec.ID, further)
		if err != nil {
			m.t.Fatal(err)
		}
		for _, kind := range []string{"cgroup", "ns/mnt", "ns/ipc", "ns/pid"} {
			if a, b := ofProcess(m.t, outer.First(), kind), ofProcess(m.t, inside.First(), kind); a != b {
				m.t.Errorf("%s is %q and %q", kind, a, b)
			}
		}
		m.end(inside)
		if err := m.Release(further.ID); err != nil {
			m.t.Error(err)
		}
	}, func(c *oci.Config) { c.Hidden = []string{c.Dir} })
}

// ofProcess returns a link or a text in a process's folder of /proc.
func ofProcess(t *testing.T, pid int, name string) string {
	t.Helper()
	path := fmt.Sprintf("/proc/%d/%s", pid, name)
	if to, err := os.Readlink(path); err == nil {
		return to
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

func TestSandboxInsideOfWhatIsHidden(t *testing.T) {
	onKernel(t, func(m *testMachine) {
		sandbox := filepath.Join(m.Config().Hidden[0], "sandbox")
		for _, dir := range []string{sandbox, filepath.Join(m.Config().Hidden[0], "another")} {
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		p, _ := m.fork("ls .. > file", func(s *launcher.Spec) { s.Dir = sandbox })
		if _, err := p.Wait(); err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(filepath.Join(sandbox, "file")); err != nil || string(text) != "sandbox\n" {
			t.Errorf("it sees %q, %v", text, err)
		}
	}, func(c *oci.Config) { c.Hidden = []string{t.TempDir()} })
}

// What a container writes to a disk is counted, with the isolator. Not every kernel does
// so in control groups of version 1, where nothing is to be slowed down.
func TestBlkio(t *testing.T) {
	onKernel(t, func(m *testMachine) {
		p, spec := m.fork("dd if=/dev/zero of=file bs=4096 count=8 oflag=direct,sync 2>/dev/null; echo $? > ready; exec sleep 1000", nil)
		defer m.end(p)
		if status, err := os.ReadFile(filepath.Join(spec.Dir, "ready")); err != nil || string(status) != "0\n" {
			m.t.Skipf("not on a disk: dd ended with %q, %v", status, err)
		}
		written, devices := uint64(0), p.Usage().Cgroup.GetBlkioStatistics().GetThrottling()
		for _, device := range devices {
			for _, v := range device.GetIoServiceBytes() {
				if device.Device != nil && v.GetOp() == mesos.CgroupInfo_Blkio_WRITE {
					written += v.GetValue()
				}
			}
		}
		if written < 8*4096 && m.Config().Machine.Unified || len(devices) == 0 {
			m.t.Errorf("%d bytes were written: %v", written, devices)
		}
	}, func(c *oci.Config) { c.Isolation = append([]string{"cgroups/blkio"}, c.Isolation...) })
}

// What the groups of cgroups/cpuset and cgroups/hugetlb are set to by others holds.
func TestGroupsForOthers(t *testing.T) {
	onKernel(t, func(m *testMachine) {
		p, spec := m.fork("exec sleep 1000", nil)
		defer m.end(p)
		for _, set := range []struct{ controller, file, to string }{
			{"cpuset", "cpuset.cpus", "0"},
			{"hugetlb", map[bool]string{true: "hugetlb.2MB.max", false: "hugetlb.2MB.limit_in_bytes"}[m.Config().Machine.Unified], "4194304"},
		} {
			if m.Config().Machine.Controllers[set.controller] == "" {
				continue
			}
			if err := os.WriteFile(filepath.Join(m.GroupDir(set.controller, spec.ID), set.file), []byte(set.to), 0); err != nil {
				m.t.Error(err)
			}
		}
		if text := ofProcess(m.t, p.First(), "status"); !strings.Contains(text, "Cpus_allowed_list:\t0\n") {
			m.t.Errorf("it is not held to a processor: %s", text)
		}
	}, func(c *oci.Config) {
		for _, controller := range []string{"cpuset", "hugetlb"} {
			if c.Machine.Controllers[controller] != "" {
				c.Isolation = append(slices.Clip(c.Isolation), "cgroups/"+controller)
			}
		}
	})
}
