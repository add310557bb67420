package agentd

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/resources"
)

// SandboxQuota is whether containers are held to the disk that they were given, by
// measuring their sandboxes.
type SandboxQuota struct {
	Enforce bool
	Every   time.Duration
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
	used := float64(diskUsage(c.spec.Sandbox)) / (1 << 20)
	if used <= quota {
		return
	}
	c.beyond.CompareAndSwap(nil, &launcher.Limitation{
		Reason:   mesos.TaskStatus_REASON_CONTAINER_LIMITATION_DISK,
		Message:  fmt.Sprintf("Disk usage (%.2fMB) exceeds quota (%.2fMB)", used, quota),
		Resource: "disk", Amount: used,
	})
	c.end()
}

// setDisk sets what a sandbox may hold: the disk among resources that is not a
// volume's.
func (c *container) setDisk(rs resources.Resources) {
	own := rs.Filter(func(r resources.Resource) bool { return !r.IsPersistentVolume() })
	c.disk.Store(int64(own.Scalar("disk").Float64()))
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
