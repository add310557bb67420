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
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/flags"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/xfs"
	"github.com/meseta-project/meseta/resources"
)

// SandboxQuota is whether what containers write to disk is known, and whether they are
// held to what they were given: by measuring their folders, or by the file system.
type SandboxQuota struct {
	Enforce  bool
	Every    time.Duration
	Measure  bool     // folders are measured
	Projects Projects // or the file system counts them; nil: it does not
	// Kill ends containers that pass what they were given, for which they can write
	// Headroom bytes more. Otherwise it is the file system that refuses to be written.
	Kill     bool
	Headroom uint64
}

// ends reports whether containers that take too much are ended by the agent.
func (q *SandboxQuota) ends() bool { return q.Enforce && (q.Measure || q.Projects != nil && q.Kill) }

// Projects are what a file system counts folders by: see [xfs.Projects].
type Projects interface {
	Assign(folder string) error
	Share(folder, with string) error
	Limit(folder string, soft, hard uint64) error
	Quota(folder string) (xfs.Quota, error)
	// Reclaim frees the projects of folders that are gone.
	Reclaim()
	Count() (total, free int)
}

// A held folder is one that a container writes to, and is held to so many bytes in.
type held struct {
	path  string
	disk  *mesos.Resource_DiskInfo // a persistent volume's; nil: it is the sandbox
	mount bool                     // a disk of its own, which is its limit
	limit uint64
}

// watchDisks ends the containers whose folders have grown beyond the disk that their
// tasks have, each interval, if the file system does not.
func (s *Server) watchDisks(ctx context.Context) {
	q := &s.cfg.SandboxQuota
	if !q.Measure && !q.ends() {
		return
	}
	ticker := time.NewTicker(q.Every)
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

// checkDisk ends the container if one of its folders is too large. One that was given
// no disk may use what it finds.
func (c *container) checkDisk() {
	for _, h := range c.folders() {
		if h.mount {
			continue
		}
		used, err := c.diskUsed(h)
		if err != nil {
			c.s.log.Warn("cannot look up the use of a folder", attr("container", c.id()), attr("path", h.path), attrErr(err))
		}
		if c.s.cfg.SandboxQuota.ends() && err == nil && h.limit > 0 && used > h.limit {
			c.beyond.CompareAndSwap(nil, c.tooMuch(h, used))
			c.end()
		}
	}
}

// tooMuch returns a limitation in Mesos's words, which are others where it measures.
func (c *container) tooMuch(h held, used uint64) *launcher.Limitation {
	l := &launcher.Limitation{Reason: mesos.TaskStatus_REASON_CONTAINER_LIMITATION_DISK, Resource: "disk", Disk: h.disk}
	if c.s.cfg.SandboxQuota.Projects == nil {
		l.Message, l.Amount = fmt.Sprintf("Disk usage (%v) exceeds quota (%v)", flags.Bytes(used), flags.Bytes(h.limit)), float64(h.limit>>20)
		return l
	}
	l.Message, l.Amount = fmt.Sprintf("Disk usage (%v) exceeded quota (%v)", flags.Bytes(used), flags.Bytes(h.limit)), float64(used>>20)
	if h.disk != nil {
		l.Message += " for volume '" + h.disk.GetPersistence().GetId() + "'"
	}
	return l
}

// diskUsed returns the bytes that a folder takes.
func (c *container) diskUsed(h held) (uint64, error) {
	projects := c.s.cfg.SandboxQuota.Projects
	switch {
	case projects == nil:
		used := uint64(diskUsage(h.path))
		if h.disk == nil {
			c.measured.Store(&used)
		}
		return used, nil
	case h.mount:
		var fs syscall.Statfs_t
		err := syscall.Statfs(h.path, &fs)
		return (fs.Blocks - fs.Bfree) * uint64(fs.Bsize), err
	default:
		q, err := projects.Quota(h.path)
		return q.Used, err
	}
}

// folders returns what the container is held to: nothing of before the isolator was on.
func (c *container) folders() []held {
	if c.s.cfg.SandboxQuota.Projects != nil && !c.projected.Load() {
		return nil
	}
	if all := c.disks.Load(); all != nil {
		return *all
	}
	return nil
}

// diskStatistics tells what the folders of a container take.
func (s *Server) diskStatistics(id ids.ContainerID, to *mesos.ResourceStatistics) {
	found, ok := s.containers.Load(id)
	if q := &s.cfg.SandboxQuota; !ok || !q.Measure && q.Projects == nil {
		return
	}
	c := found.(*container)
	for _, h := range c.folders() {
		switch {
		case s.cfg.SandboxQuota.Projects != nil:
			c.tellDisk(h, to)
		case h.disk == nil && h.limit > 0:
			to.DiskLimitBytes, to.DiskUsedBytes = new(h.limit), c.measured.Load()
		}
	}
}

func (c *container) tellDisk(h held, to *mesos.ResourceStatistics) {
	used, err := c.diskUsed(h)
	if err != nil {
		return // the watch says so
	}
	if h.disk == nil {
		to.DiskUsedBytes, to.DiskLimitBytes = &used, new(h.limit)
		return
	}
	d := &mesos.DiskStatistics{Source: h.disk.GetSource(), Persistence: h.disk.GetPersistence(), UsedBytes: &used}
	if !h.mount {
		d.LimitBytes = new(h.limit)
	}
	to.DiskStatistics = append(to.DiskStatistics, d)
}

// project makes the sandbox's folder, and gives it, and the volumes, projects with the
// disk that the container has, where the file system counts.
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
	if err := c.shareRoot(); err != nil {
		return err
	}
	c.projected.Store(true)
	return c.limitDisks()
}

// projectAgain is project for a container of an earlier agent, which may have had other
// flags. One of before the isolator was on has no project, and gets none.
func (c *container) projectAgain() {
	projects := c.s.cfg.SandboxQuota.Projects
	if projects == nil {
		return
	}
	_, err := projects.Quota(c.spec.Sandbox)
	c.projected.Store(err == nil)
	if err := c.limitDisks(); err != nil {
		c.s.log.Warn("cannot limit what a container may write", attr("container", c.id()), attrErr(err))
	}
}

// shareRoot has what is written in the root of an image counted as the sandbox's. That
// is so from the beginning: between projects the file system renames nothing, as
// overlays do.
func (c *container) shareRoot() error {
	if c.s.cfg.Images == nil || c.spec.Container.GetMesos().GetImage() == nil {
		return nil
	}
	root := c.s.cfg.Images.Written(c.id())
	if root == "" {
		return nil
	}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return err
	}
	return c.s.cfg.SandboxQuota.Projects.Share(root, c.spec.Sandbox)
}

// limitDisks tells the file system what the container's folders may hold.
func (c *container) limitDisks() error {
	if c.s.cfg.SandboxQuota.Projects == nil {
		return nil
	}
	for _, h := range c.folders() {
		if h.mount {
			continue
		}
		if h.disk != nil {
			if err := c.s.cfg.SandboxQuota.Projects.Assign(h.path); err != nil {
				return err
			}
		}
		if err := c.limitDisk(h); err != nil {
			return err
		}
	}
	return nil
}

func (c *container) limitDisk(h held) error {
	quota := &c.s.cfg.SandboxQuota
	soft := h.limit
	if !quota.Enforce {
		soft = 0
	}
	hard := soft
	if quota.Kill && soft > 0 {
		hard += quota.Headroom
	}
	return quota.Projects.Limit(h.path, soft, hard)
}

// setDisk sets what a sandbox may hold, and what the volumes may.
func (c *container) setDisk(rs resources.Resources) {
	counted := c.s.cfg.SandboxQuota.Projects != nil
	own := rs.Filter(func(r resources.Resource) bool {
		return r.Disk() == nil || !counted && r.Disk().GetVolume() == nil
	})
	all := []held{{path: c.spec.Sandbox, limit: megabytes(own.Scalar("disk").Float64())}}
	for r := range rs.PersistentVolumes().All() {
		for _, v := range agent.Volumes(c.s.cfg.Agent.WorkDir, []*mesos.Resource{r.Proto()}) {
			all = append(all, held{path: v.Path, disk: r.Disk(), mount: v.Mount, limit: megabytes(r.Amount().Float64())})
		}
	}
	c.disks.Store(&all)
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
