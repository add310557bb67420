package agentd

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/meta"
	"github.com/meseta-project/meseta/internal/xfs"
	"github.com/meseta-project/meseta/resources"
)

// counting is a file system that counts by projects.
type counting struct {
	quota xfs.Quota
	fault error
}

func (c *counting) Assign(folder string) error {
	if _, err := os.Stat(folder); err != nil {
		return err // it is to be there
	}
	return c.fault
}

func (c *counting) Share(folder, _ string) error { return c.Assign(folder) }

func (c *counting) Limit(_ string, soft, hard uint64) error {
	c.quota.Soft, c.quota.Hard = soft, hard
	return nil
}

func (c *counting) Quota(string) (xfs.Quota, error) { return c.quota, c.fault }

func (c *counting) Reclaim() {}

func (c *counting) Count() (total, free int) { return 2, 1 }

// TestProjectQuota: what the file system is told of a sandbox, and when a container
// is ended for it.
func TestProjectQuota(t *testing.T) {
	for name, test := range map[string]struct {
		quota      SandboxQuota
		soft, hard uint64
		ended      bool // with 3 MB
	}{
		"counted only":           {SandboxQuota{}, 0, 0, false},
		"the disk is full":       {SandboxQuota{Enforce: true}, 2 << 20, 2 << 20, false},
		"the container is ended": {SandboxQuota{Enforce: true, Kill: true, Headroom: 10 << 20}, 2 << 20, 12 << 20, true},
	} {
		fs := &counting{}
		test.quota.Projects = fs
		s := &Server{log: slog.New(slog.DiscardHandler)}
		s.cfg.SandboxQuota = test.quota
		c := s.newContainer(&agent.ContainerSpec{Run: meta.Run{Container: "c"}, Sandbox: filepath.Join(t.TempDir(), "a/b"), Resources: resources.MustParse("disk:2").Proto()})
		if err := c.project(); err != nil {
			t.Fatal(err)
		}
		if fs.quota.Soft != test.soft || fs.quota.Hard != test.hard {
			t.Errorf("%s: %+v", name, fs.quota)
		}
		fs.quota.Used = 3 << 20
		c.checkDisk()
		if ended := c.ended.Err() != nil; ended != test.ended {
			t.Errorf("%s: ended %t", name, ended)
		}
		if l := c.beyond.Load(); test.ended && (l == nil || l.Message != "Disk usage (3MB) exceeded quota (2MB)" || l.Amount != 3) {
			t.Errorf("%s: %+v", name, l)
		}
		used := &mesos.ResourceStatistics{}
		s.diskStatistics("c", used)
		if used.GetDiskUsedBytes() != 3<<20 || used.GetDiskLimitBytes() != 2<<20 {
			t.Errorf("%s: %v", name, used)
		}
		c.setDisk(resources.MustParse("disk:5"))
		if err := c.limitDisks(); err != nil {
			t.Error(err)
		}
		if want := map[bool]uint64{true: 5 << 20}[test.quota.Enforce]; fs.quota.Soft != want {
			t.Errorf("%s: with more disk %+v", name, fs.quota)
		}
	}
}

// TestVolumeQuota: a volume has a project and a limit of its own, but for one that is
// all of a disk.
func TestVolumeQuota(t *testing.T) {
	fs := &counting{}
	s := &Server{log: slog.New(slog.DiscardHandler)}
	s.cfg.SandboxQuota, s.cfg.Agent.WorkDir = SandboxQuota{Enforce: true, Kill: true, Projects: fs}, t.TempDir()
	volume := func(id string, source *mesos.Resource_DiskInfo_Source) *mesos.Resource {
		return &mesos.Resource{Name: new("disk"), Type: mesos.Value_SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: new(4.0)}, Disk: &mesos.Resource_DiskInfo{
			Source: source, Persistence: &mesos.Resource_DiskInfo_Persistence{Id: &id}, Volume: &mesos.Volume{ContainerPath: &id, Mode: mesos.Volume_RW.Enum()},
		}}
	}
	mount := &mesos.Resource_DiskInfo_Source{Type: mesos.Resource_DiskInfo_Source_MOUNT.Enum(), Mount: &mesos.Resource_DiskInfo_Source_Mount{Root: new(t.TempDir())}}
	c := s.newContainer(&agent.ContainerSpec{
		Run: meta.Run{Container: "c"}, Sandbox: filepath.Join(t.TempDir(), "a"), Resources: append(resources.MustParse("disk:8").Proto(), volume("v", nil), volume("m", mount)),
	})
	if err := os.MkdirAll(filepath.Join(s.cfg.Agent.WorkDir, "volumes/roles/*/v"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := c.project(); err != nil || fs.quota.Soft != 4<<20 {
		t.Errorf("%v, %+v", err, fs.quota)
	}
	fs.quota.Used = 5 << 20
	c.checkDisk()
	l := limitation(c.beyond.Load())
	if l == nil || l.Message != "Disk usage (5MB) exceeded quota (4MB) for volume 'v'" || l.Resources[0].GetDisk().GetPersistence().GetId() != "v" {
		t.Errorf("%+v", l)
	}
	used := &mesos.ResourceStatistics{}
	s.diskStatistics("c", used)
	if used.GetDiskLimitBytes() != 8<<20 || len(used.DiskStatistics) != 2 {
		t.Fatalf("%v", used)
	}
	if d := used.DiskStatistics[0]; d.GetPersistence().GetId() != "v" || d.GetUsedBytes() != 5<<20 || d.GetLimitBytes() != 4<<20 {
		t.Errorf("%v", d)
	}
	if d := used.DiskStatistics[1]; d.GetSource().GetType() != mesos.Resource_DiskInfo_Source_MOUNT || d.GetUsedBytes() == 0 || d.LimitBytes != nil {
		t.Errorf("%v", d)
	}
	fs.fault = errors.New("range exhausted")
	c.setDisk(resources.Trusted(append(resources.MustParse("disk:8").Proto(), volume("w", nil))))
	if err := c.limitDisks(); err == nil {
		t.Error("a volume without a project is no matter")
	}
}

// TestMeasured: what disk/du measures is told, with a limit or without.
func TestMeasured(t *testing.T) {
	for _, enforce := range []bool{false, true} {
		s := &Server{log: slog.New(slog.DiscardHandler)}
		s.cfg.SandboxQuota = SandboxQuota{Measure: true, Enforce: enforce}
		dir := t.TempDir()
		c := s.newContainer(&agent.ContainerSpec{Run: meta.Run{Container: "c"}, Sandbox: dir, Resources: resources.MustParse("disk:1").Proto()})
		if err := os.WriteFile(filepath.Join(dir, "file"), make([]byte, 2<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		c.checkDisk()
		used := &mesos.ResourceStatistics{}
		s.diskStatistics("c", used)
		if used.GetDiskUsedBytes() < 2<<20 || used.GetDiskLimitBytes() != 1<<20 {
			t.Errorf("%v", used)
		}
		l := c.beyond.Load()
		if (l != nil) != enforce || enforce && (!strings.HasSuffix(l.Message, "exceeds quota (1MB)") || l.Amount != 1) {
			t.Errorf("%+v", l)
		}
	}
}

// TestAdoptedQuota: a container that an agent finds is held to what this agent's flags
// say, if it has a project.
func TestAdoptedQuota(t *testing.T) {
	for _, fault := range []error{nil, errors.New("has no project")} {
		fs := &counting{fault: fault}
		s := &Server{log: slog.New(slog.DiscardHandler)}
		s.cfg.SandboxQuota = SandboxQuota{Enforce: true, Projects: fs}
		c := s.newContainer(&agent.ContainerSpec{Run: meta.Run{Container: "c"}, Sandbox: t.TempDir(), Resources: resources.MustParse("disk:1").Proto()})
		c.projectAgain()
		if want := map[bool]uint64{true: 1 << 20}[fault == nil]; fs.quota.Hard != want || c.projected.Load() != (fault == nil) {
			t.Errorf("%v: %+v", fault, fs.quota)
		}
	}
}

func TestNoProjectNoContainer(t *testing.T) {
	s := &Server{log: slog.New(slog.DiscardHandler)}
	s.cfg.SandboxQuota.Projects = &counting{fault: errors.New("range exhausted")}
	c := s.newContainer(&agent.ContainerSpec{Run: meta.Run{Container: "c"}, Sandbox: filepath.Join(t.TempDir(), "a")})
	if err := c.prepare(); fmt.Sprint(err) != "range exhausted" {
		t.Errorf("%v", err)
	}
}
