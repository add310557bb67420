package oci_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/launcher/oci"
)

// hold starts a container that others are to be in.
func (m *testMachine) hold(r launcher.Resources) (p launcher.Process, id string) {
	m.t.Helper()
	spec := m.spec("", func(s *launcher.Spec) { s.Resources = r })
	p, err := m.Hold(spec)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		if err := m.Release(spec.ID); err != nil {
			m.t.Error(err)
		}
	})
	return p, spec.ID
}

// in has a container be in another, and within its limits unless it has its own.
func in(parent string, change func(*launcher.Spec)) func(*launcher.Spec) {
	return func(s *launcher.Spec) {
		s.ID, s.Resources.Shared = parent+"."+s.ID, true
		if change != nil {
			change(s)
		}
	}
}

// onParents runs a test with a container that holds what others share, and with one that
// has a program too.
func onParents(t *testing.T, r launcher.Resources, test func(m *testMachine, p launcher.Process, id string)) {
	onKernel(t, func(m *testMachine) {
		p, id := m.hold(r)
		test(m, p, id)
		p, spec := m.fork("exec sleep 1000", func(s *launcher.Spec) { s.Resources = r })
		test(m, p, spec.ID)
	}, func(c *oci.Config) { c.CFS = true })
}

// holding takes 30 megabytes and keeps them.
const holding = `head -c 30000000 /dev/zero > /dev/shm/much; echo up > ready; exec sleep 1000`

// TestPodIsHeldToItsMemory: two containers in one, each of which would find enough.
func TestPodIsHeldToItsMemory(t *testing.T) {
	onParents(t, launcher.Resources{CPUs: 1, Mem: 48}, func(m *testMachine, pod launcher.Process, id string) {
		first, spec := m.fork(holding, in(id, nil))
		if _, err := os.ReadFile(filepath.Join(spec.Dir, "ready")); err != nil {
			t.Fatal(err)
		}
		second, _ := m.fork(hog, in(id, nil))
		if _, err := pod.Wait(); err != nil {
			t.Fatal(err)
		}
		for _, p := range []launcher.Process{first, second} {
			if err := p.Kill(); err != nil {
				t.Error(err)
			}
			if _, err := p.Wait(); err != nil {
				t.Error(err)
			}
			if l := p.Limitation(); l != nil && l.Of != id {
				t.Errorf("one was ended for the limit of %s, not of %s", l.Of, id)
			}
		}
		l := pod.Limitation()
		if l == nil || l.Of != id || l.Reason != mesos.TaskStatus_REASON_CONTAINER_LIMITATION_MEMORY || !strings.HasPrefix(l.Message, "Memory limit exceeded: Requested: 48MB ") {
			t.Errorf("it was ended for %+v", l)
		}
	})
}

// TestOwnLimitInPod: a container that has its own limit of memory is ended alone.
func TestOwnLimitInPod(t *testing.T) {
	onParents(t, launcher.Resources{CPUs: 1, Mem: 256}, func(m *testMachine, pod launcher.Process, id string) {
		p, status, _ := m.run(hog, in(id, func(s *launcher.Spec) { s.Resources = launcher.Resources{CPUs: 0.1, Mem: 40} }))
		if l := p.Limitation(); status.Signal() != syscall.SIGKILL || l == nil || !strings.HasSuffix(id+"."+"k"+strconv.Itoa(m.n), l.Of) {
			t.Errorf("wait status %#x, %+v", int(status), l)
		}
		if l := pod.Limitation(); l != nil {
			t.Errorf("its pod was ended: %+v", l)
		}
		m.prints("echo on", "on", in(id, nil))
		m.end(pod)
		if l := pod.Limitation(); l != nil {
			t.Errorf("its pod was ended for %+v", l)
		}
	})
}

// TestPodIsHeldToItsCPU: what two containers use together is compared with the periods
// that the one that they are in was let run in.
func TestPodIsHeldToItsCPU(t *testing.T) {
	onParents(t, launcher.Resources{CPUs: 0.2, Mem: 64}, func(m *testMachine, pod launcher.Process, id string) {
		for range 2 {
			p, spec := m.fork("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo up > ready; exec sleep 1000", in(id, nil))
			defer m.end(p)
			if _, err := os.ReadFile(filepath.Join(spec.Dir, "ready")); err != nil {
				t.Fatal(err)
			}
		}
		used := pod.Usage().Cgroup
		allowed := float64(used.GetCpusNrPeriods()+1) * 0.020
		if got := used.GetCpusUserTimeSecs() + used.GetCpusSystemTimeSecs(); used.GetCpusNrThrottled() == 0 || got > 1.1*allowed+0.05 {
			t.Errorf("used %.3f s in %d periods, throttled in %d; allowed are %.3f s", got, used.GetCpusNrPeriods(), used.GetCpusNrThrottled(), allowed)
		}
		if n := used.GetProcesses(); n < 2 {
			t.Errorf("it counts %d processes", n)
		}
		if err := pod.Update(launcher.Resources{CPUs: 2, Mem: 128}); err != nil {
			t.Error(err)
		}
		if limit := m.MemoryLimit(id); limit != 128<<20 {
			t.Errorf("it may use %d bytes", limit)
		}
		m.end(pod)
	})
}

// TestSharedNamespaces: what a container in another sees is the other's, as far as it is
// to share it, and never the machine's.
func TestSharedNamespaces(t *testing.T) {
	pids := oci.Linux(&mesos.LinuxInfo{SharePidNamespace: new(true), IpcMode: mesos.LinuxInfo_SHARE_PARENT.Enum()})
	private := oci.Linux(&mesos.LinuxInfo{IpcMode: mesos.LinuxInfo_PRIVATE.Enum()})
	with := func(c *mesos.ContainerInfo) func(*launcher.Spec) { return func(s *launcher.Spec) { s.Container = c } }
	onParents(t, launcher.Resources{CPUs: 1, Mem: 64}, func(m *testMachine, pod launcher.Process, id string) {
		same := func(what string, a, b launcher.Process, want bool) {
			t.Helper()
			if x, y := ofProcess(t, a.First(), "ns/"+what), ofProcess(t, b.First(), "ns/"+what); (x == y) != want {
				t.Errorf("%s is %s and %s", what, x, y)
			}
		}
		first, spec := m.fork("echo hello > /dev/shm/word; (sleep 1000 &); echo up > ready; exec sleep 1000", in(id, with(pids)))
		if _, err := os.ReadFile(filepath.Join(spec.Dir, "ready")); err != nil {
			t.Fatal(err)
		}
		second, _ := m.fork("exec sleep 1000", in(id, nil))
		third, _ := m.fork("exec sleep 1000", in(id, with(private)))
		same("pid", first, pod, true)
		same("ipc", first, pod, true)
		same("pid", second, pod, false)
		same("ipc", second, pod, true)
		same("pid", third, pod, false)
		same("ipc", third, pod, false)
		for _, p := range []launcher.Process{first, second, third} {
			for _, what := range []string{"pid", "ipc", "mnt"} {
				if ofProcess(t, p.First(), "ns/"+what) == ofProcess(t, os.Getpid(), "ns/"+what) {
					t.Errorf("%s is the machine's", what)
				}
			}
		}
		m.prints("cat /dev/shm/word; grep -c sleep /proc/[0-9]*/comm | grep -c :1", "hello\n0", in(id, nil))
		m.prints("cat /dev/shm/word 2>/dev/null || echo none", "none", in(id, with(private)))
		// The first's two, and all that is in namespaces in this one.
		_, _, seen := m.run("grep -c sleep /proc/[0-9]*/comm | grep -c :1", in(id, with(pids)))
		if n, err := strconv.Atoi(seen); err != nil || n < 4 {
			t.Errorf("in the pod's namespace it sees %q", seen)
		}
		m.end(first)
		_, _, left := m.run("grep -c sleep /proc/[0-9]*/comm | grep -c :1", in(id, with(pids)))
		if n, _ := strconv.Atoi(left); n != mustNumber(t, seen)-2 {
			t.Errorf("it saw %s, and %s when one with two had ended", seen, left)
		}
		m.end(pod)
		for _, p := range []launcher.Process{second, third} { // whose processes are in namespaces in the pod's
			if _, err := p.Wait(); err != nil {
				t.Error(err)
			}
		}
		if _, err := os.Stat("/dev/shm/word"); err == nil {
			t.Error("the machine's /dev/shm was written to")
		}
	})
}

func mustNumber(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestNothingLeftOfPod: what an agent that was killed has left of a pod is removed by the
// next one, with what is in it.
func TestNothingLeftOfPod(t *testing.T) {
	onKernel(t, func(m *testMachine) {
		p, id := m.hold(launcher.Resources{CPUs: 1, Mem: 64})
		inner, _ := m.fork("exec sleep 1000", in(id, nil))
		again := open(t, *m.Config())
		adopted, err := again.Adopt(id, p.PID(), filepath.Join(m.Bundle(id), "no status"))
		if err != nil {
			t.Fatal(err)
		}
		if err := adopted.Kill(); err != nil {
			t.Fatal(err)
		}
		for _, p := range []launcher.Process{p, adopted, inner} {
			if _, err := p.Wait(); err != nil {
				t.Error(err)
			}
		}
		if err := again.Release(id); err != nil {
			t.Error(err)
		}
		if m.HasGroup(id) {
			t.Error("its groups are left")
		}
	}, nil)
}

// TestNoContainerInWhatHasEnded: there is nothing that it could share.
func TestNoContainerInWhatHasEnded(t *testing.T) {
	onKernel(t, func(m *testMachine) {
		m.refuses(in("nobody", nil), "enter container nobody: it does not run")
	}, nil)
}
