package agentd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/xfs"
	"github.com/meseta-project/meseta/resources"
)

// SandboxQuota is whether containers are held to the disk that they were given: by
// measuring their sandboxes, or by the file system.
type SandboxQuota struct {
	Enforce  bool
	Every    time.Duration
	Projects Projects // those of sandboxes; nil: they are measured
	// Kill ends containers that pass what they were given, for which they can write
	// Headroom bytes more. Otherwise it is the file system that refuses to be written.
	Kill     bool
	Headroom uint64
}

// Projects are what a file system counts folders by: see [xfs.Projects].
type Projects interface {
	Assign(folder string) error
	Limit(folder string, soft, hard uint64) error
	Quota(folder string) (xfs.Quota, error)
}

// watchSandboxes ends the containers whose sandboxes have grown beyond the disk
// that their tasks have, each interval.
func (s *Server) watchSandboxes(ctx context.Context) {
	if !s.cfg.SandboxQuota.Enforce {
		return
	}
	ticker := time.NewTicker(s.cfg.SandboxQuota.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		s.containers.Range(func(_, c any) bool {
			c.(*container).checkDisk()
			return ctx.Err() == nil
		})
	}
}

// checkDisk ends the container if its sandbox is too large. One that was given no
// disk may use what it finds.
func (c *container) checkDisk() {
	quota := float64(c.disk.Load())
	if quota == 0 {
		return
	}
	bytes, ok := c.diskUsed()
	used := float64(bytes) / (1 << 20)
	if !ok || used <= quota {
		return
	}
	c.beyond.CompareAndSwap(nil, &launcher.Limitation{
		Reason:   mesos.TaskStatus_REASON_CONTAINER_LIMITATION_DISK,
		Message:  fmt.Sprintf("Disk usage (%.2fMB) exceeds quota (%.2fMB)", used, quota),
		Resource: "disk", Amount: used,
	})
	c.end()
}

// diskUsed returns the bytes that the sandbox takes, and whether there is a limit to
// check them against.
func (c *container) diskUsed() (uint64, bool) {
	quota := &c.s.cfg.SandboxQuota
	if quota.Projects == nil {
		return uint64(diskUsage(c.spec.Sandbox)), true
	}
	if !quota.Kill || !c.projected.Load() {
		return 0, false
	}
	q, err := quota.Projects.Quota(c.spec.Sandbox)
	if err != nil {
		c.s.log.Warn("cannot look up the use of a sandbox", attr("container", c.id()), attrErr(err))
	}
	return q.Used, err == nil
}

// project makes the sandbox's folder, and gives it a project with the disk that the
// container has, where the file system counts.
func (c *container) project() error {
	projects := c.s.cfg.SandboxQuota.Projects
	if projects == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(c.spec.Sandbox), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(c.spec.Sandbox, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := projects.Assign(c.spec.Sandbox); err != nil {
		return err
	}
	c.projected.Store(true)
	return c.limitDisk()
}

// limitDisk tells the file system what the sandbox may hold.
func (c *container) limitDisk() error {
	quota := &c.s.cfg.SandboxQuota
	soft := uint64(c.disk.Load()) << 20
	if !quota.Enforce {
		soft = 0
	}
	hard := soft
	if quota.Kill && soft > 0 {
		hard += quota.Headroom
	}
	return quota.Projects.Limit(c.spec.Sandbox, soft, hard)
}

// setDisk sets what a sandbox may hold: the disk among resources that is not a
// volume's.
func (c *container) setDisk(rs resources.Resources) {
	own := rs.Filter(func(r resources.Resource) bool { return !r.IsPersistentVolume() })
	c.disk.Store(int64(own.Scalar("disk").Float64()))
	if !c.projected.Load() {
		return
	}
	if err := c.limitDisk(); err != nil {
		c.s.log.Warn("cannot limit a sandbox", attr("container", c.id()), attrErr(err))
	}
}

// diskUsage returns the bytes that files below a folder take, links not followed.
// What vanishes meanwhile counts as nothing.
func diskUsage(dir string) (sum int64) {
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // it is gone
		}
		if info, err := entry.Info(); err == nil {
			sum += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return nil
	})
	return sum
}
