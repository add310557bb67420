package agentd

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

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

func (c *counting) Limit(_ string, soft, hard uint64) error {
	c.quota.Soft, c.quota.Hard = soft, hard
	return nil
}

func (c *counting) Quota(string) (xfs.Quota, error) { return c.quota, c.fault }

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
		if l := c.beyond.Load(); test.ended && (l == nil || !strings.Contains(l.Message, "3.00MB") || l.Amount != 3) {
			t.Errorf("%s: %+v", name, l)
		}
		c.setDisk(resources.MustParse("disk:5"))
		if want := map[bool]uint64{true: 5 << 20}[test.quota.Enforce]; fs.quota.Soft != want {
			t.Errorf("%s: with more disk %+v", name, fs.quota)
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
