// Package xfs holds folders to quotas, by the projects of XFS: what is made below a
// folder that has a project is of that project too, and the file system counts the
// blocks of each, and refuses more than it may have.
//
//	Assign        folder is gone, and the project has no blocks
//	free ───▶ used ─────────────────────────────────────────────▶ free
package xfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/meseta-project/meseta/resources"
)

// A Quota is what a project has used, and may use, in bytes. Beyond Hard nothing is
// written; 0 is no limit.
type Quota struct{ Used, Soft, Hard uint64 }

// kernel is what the file system does.
type kernel interface {
	// project returns the project of a file or a folder, 0 for none.
	project(path string) (uint32, error)
	// setProject makes a file or a folder one of a project; what is made in the
	// folder is so too.
	setProject(path string, id uint32) error
	// quota and setQuota are of a project in the file system that a path is in.
	quota(path string, id uint32) (Quota, error)
	setQuota(path string, id uint32, soft, hard uint64) error
	// enabled returns why projects are not counted where the path is, nil if they are.
	enabled(path string) error
}

// Projects are those of an agent's folders. It may be used by many goroutines.
type Projects struct {
	kernel kernel
	ids    []resources.Range

	mu   sync.Mutex
	used map[uint32]string // the folder
	next uint32            // where the search for a free one begins
}

// Open returns the projects, with those of the folders that have one already. It fails
// if one of the disks is not XFS with project quotas.
func Open(disks []string, ids []resources.Range, folders []string) (*Projects, error) {
	return open(linux{}, disks, ids, folders)
}

func open(k kernel, disks []string, ids []resources.Range, folders []string) (*Projects, error) {
	for _, disk := range disks {
		if err := k.enabled(disk); err != nil {
			return nil, fmt.Errorf("project quotas in %s: %w", disk, err)
		}
	}
	p := &Projects{kernel: k, ids: ids, used: map[uint32]string{}}
	for _, folder := range folders {
		id, err := k.project(folder)
		if err != nil {
			return nil, fmt.Errorf("look up the project of %s: %w", folder, err)
		}
		if id != 0 {
			p.used[id] = folder
		}
	}
	return p, nil
}

// ParseRange reads --xfs_project_range, as [5000-10000].
func ParseRange(text string) ([]resources.Range, error) {
	rs, err := resources.Parse("projects:"+text, "*")
	if err != nil {
		return nil, err
	}
	ids := rs.Ranges("projects")
	if len(ids) == 0 {
		return nil, fmt.Errorf("%q has no project ids", text)
	}
	for _, r := range ids {
		if r.Begin == 0 || r.End > 1<<32-1 {
			return nil, fmt.Errorf("%q: project ids are from 1 to 4294967295", text)
		}
	}
	return ids, nil
}

// Assign gives a folder, and what is in it, a project of its own, unless it has one.
// It is for folders that nobody else writes to yet.
func (p *Projects) Assign(folder string) error {
	if err := p.kernel.enabled(folder); err != nil {
		return fmt.Errorf("project quotas in %s: %w", folder, err)
	}
	id, err := p.take(folder)
	if err != nil || id == 0 {
		return err
	}
	return p.mark(folder, id)
}

// Share makes a folder, and what is in it, of the project that another one has.
func (p *Projects) Share(folder, with string) error {
	id, err := p.of(with)
	if err != nil {
		return err
	}
	return p.mark(folder, id)
}

func (p *Projects) mark(folder string, id uint32) error {
	return filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !entry.IsDir() && !entry.Type().IsRegular() {
			return nil // a link takes none
		}
		if err := p.kernel.setProject(path, id); err != nil {
			return fmt.Errorf("give %s project %d: %w", path, id, err)
		}
		return nil
	})
}

// take returns a free project for a folder, 0 if it has one.
func (p *Projects) take(folder string) (uint32, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if id, err := p.kernel.project(folder); err != nil || p.used[id] != "" {
		return 0, err
	}
	id, ok := p.free(folder)
	if !ok {
		p.reclaim()
		id, ok = p.free(folder)
	}
	if !ok {
		return 0, errors.New("Failed to assign project ID, range exhausted") //nolint:staticcheck // Mesos's words
	}
	p.used[id], p.next = folder, id+1
	return id, nil
}

// free returns a project that is not used, for a folder: the first after the last that
// was taken, so that none is soon another's. p.mu is held.
func (p *Projects) free(folder string) (uint32, bool) {
	for _, from := range []uint32{p.next, 0} {
		for _, r := range p.ids {
			for id := max(r.Begin, uint64(from)); id <= r.End; id++ {
				if p.used[uint32(id)] != "" {
					continue
				}
				// What was removed from a folder of an earlier life may still be going.
				if q, err := p.kernel.quota(folder, uint32(id)); err == nil && q.Used == 0 {
					return uint32(id), true
				}
			}
		}
	}
	return 0, false
}

// Reclaim frees the projects whose folders are gone, with all that was in them.
func (p *Projects) Reclaim() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reclaim()
}

func (p *Projects) reclaim() {
	for id, folder := range p.used {
		if _, err := os.Lstat(folder); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		above := existing(folder)
		if q, err := p.kernel.quota(above, id); err != nil || q.Used > 0 {
			continue // it is being removed
		}
		if err := p.kernel.setQuota(above, id, 0, 0); err == nil {
			delete(p.used, id)
		}
	}
}

// existing returns the nearest folder above that there is, which is in the same file
// system: no agent's folders begin where one is mounted.
func existing(folder string) string {
	for {
		folder = filepath.Dir(folder)
		if _, err := os.Lstat(folder); err == nil || folder == "/" {
			return folder
		}
	}
}

// Count returns how many projects there are, and how many of them are free.
func (p *Projects) Count() (total, free int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.ids {
		total += int(r.End - r.Begin + 1)
	}
	free = total
	for id := range p.used {
		if slices.ContainsFunc(p.ids, func(r resources.Range) bool { return r.Begin <= uint64(id) && uint64(id) <= r.End }) {
			free--
		}
	}
	return total, free
}

// Limit sets what the project of a folder may use; 0 is for any amount.
func (p *Projects) Limit(folder string, soft, hard uint64) error {
	id, err := p.of(folder)
	if err != nil {
		return err
	}
	if err := p.kernel.setQuota(folder, id, soft, hard); err != nil {
		return fmt.Errorf("set the quota of project %d: %w", id, err)
	}
	return nil
}

// Quota returns what the project of a folder has used, and may use.
func (p *Projects) Quota(folder string) (Quota, error) {
	id, err := p.of(folder)
	if err != nil {
		return Quota{}, err
	}
	q, err := p.kernel.quota(folder, id)
	if err != nil {
		return q, fmt.Errorf("look up the quota of project %d: %w", id, err)
	}
	return q, nil
}

func (p *Projects) of(folder string) (uint32, error) {
	id, err := p.kernel.project(folder)
	if err == nil && id == 0 {
		err = fmt.Errorf("%s has no project", strings.TrimSuffix(folder, "/"))
	}
	return id, err
}
