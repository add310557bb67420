package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// cgroups are the control groups of containers, as the runtime has made them.
type cgroups struct {
	machine Machine
	root    string
	systemd *Systemd // who makes them; nil: who starts containers, and we
}

func (g cgroups) dir(controller, id string) string {
	return filepath.Join(g.machine.Controllers[controller], g.of(id))
}

// text returns the content of a file of a group, "" if there is none.
func (g cgroups) text(controller, id, file string) string {
	if g.machine.Controllers[controller] == "" {
		return ""
	}
	text, err := os.ReadFile(filepath.Join(g.dir(controller, id), file))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func (g cgroups) number(controller, id, file string) (uint64, bool) {
	n, err := strconv.ParseUint(g.text(controller, id, file), 10, 64)
	return n, err == nil
}

// fields returns a file of lines "name number".
func (g cgroups) fields(controller, id, file string) map[string]uint64 {
	return parseFields(g.text(controller, id, file))
}

func parseFields(text string) map[string]uint64 {
	out := map[string]uint64{}
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseUint(value, 10, 64); ok && err == nil {
			out[name] = n
		}
	}
	return out
}

// oomKills returns how many processes of a group were killed for want of memory, be it
// the group's, or that of one above, or the machine's. With version 2 those of groups
// below count too.
func (g cgroups) oomKills(id string) uint64 {
	if g.machine.Unified {
		return g.fields("memory", id, "memory.events")["oom_kill"]
	}
	return g.fields("memory", id, "memory.oom_control")["oom_kill"]
}

// full reports whether a group was at its own limit of memory.
func (g cgroups) full(id string) bool {
	if !g.machine.Unified {
		n, _ := g.number("memory", id, "memory.failcnt")
		return n > 0
	}
	local := g.fields("memory", id, "memory.events.local")
	if len(local) == 0 { // of an older kernel
		local = g.fields("memory", id, "memory.events")
	}
	return local["oom"] > 0
}

// oomEvents returns a file that can be read when a group may have run out of
// memory, or is being removed.
func (g cgroups) oomEvents(id string) (*os.File, error) {
	if g.machine.Unified {
		return watchFile(filepath.Join(g.dir("memory", id), "memory.events"))
	}
	dir := g.dir("memory", id)
	control, err := os.Open(filepath.Join(dir, "memory.oom_control"))
	if err != nil {
		return nil, err
	}
	defer control.Close()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, err
	}
	events := os.NewFile(uintptr(fd), "oom events")
	if err := os.WriteFile(filepath.Join(dir, "cgroup.event_control"), fmt.Appendf(nil, "%d %d", fd, control.Fd()), 0); err != nil {
		events.Close()
		return nil, err
	}
	return events, nil
}

func watchFile(path string) (*os.File, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, err
	}
	if _, err := unix.InotifyAddWatch(fd, path, unix.IN_MODIFY|unix.IN_DELETE_SELF); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// memory returns a group's limit and the most that it has used, in bytes.
func (g cgroups) memory(id string) (limit, most uint64) {
	if g.machine.Unified {
		limit, _ = g.number("memory", id, "memory.max")
		most, ok := g.number("memory", id, "memory.peak")
		if !ok {
			most, _ = g.number("memory", id, "memory.current")
		}
		return limit, max(most, 0)
	}
	limit, _ = g.number("memory", id, "memory.limit_in_bytes")
	most, _ = g.number("memory", id, "memory.max_usage_in_bytes")
	return limit, most
}

// The pauses between looks whether the processes of a group are gone, after they
// were killed, grow from the one to the other.
const (
	firstPause = 2 * time.Millisecond
	lastPause  = 100 * time.Millisecond
)

// remove kills what is in a container's groups and removes them, with those of the
// containers in it.
func (g cgroups) remove(ctx context.Context, id string) error {
	err := RemoveGroup(ctx, g.machine, g.of(id))
	if nested(id) { // what an agent has started that did not have such groups below others yet
		err = errors.Join(err, RemoveGroup(ctx, g.machine, filepath.Join(g.root, id)))
	}
	if err == nil && g.systemd != nil {
		err = g.systemd.stop(ctx, unitOf(g.root, id)+slice)
	}
	return err
}

// RemoveGroup kills what is in a group and below, of every hierarchy, and removes it.
// Where there is none there is nothing to do. ctx bounds how long the processes may
// take to be gone.
func RemoveGroup(ctx context.Context, m Machine, path string) error {
	var failed error
	for _, root := range m.Hierarchies {
		failed = errors.Join(failed, removeGroup(ctx, filepath.Join(root, path)))
	}
	return failed
}

func removeGroup(ctx context.Context, dir string) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := unix.Rmdir(dir)
		switch {
		case err == nil || errors.Is(err, fs.ErrNotExist):
			return nil
		case !errors.Is(err, unix.EBUSY):
			return fmt.Errorf("remove %s: %w", dir, err)
		}
		inner, err := os.ReadDir(dir)
		if err != nil {
			continue // it is gone
		}
		for _, entry := range inner {
			if !entry.IsDir() {
				continue
			}
			if err := removeGroup(ctx, filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
		killGroup(dir)
		select {
		case <-ctx.Done():
			return fmt.Errorf("processes in %s are not gone after they were killed (--cgroups_destroy_timeout): %w", dir, ctx.Err())
		case <-time.After(pause):
		}
	}
}

func killGroup(dir string) {
	text, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return // it is gone
	}
	for field := range bytes.FieldsSeq(text) {
		if pid, err := strconv.Atoi(string(field)); err == nil && pid > 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL) // may have ended by itself
		}
	}
}

// statistics returns what a container's groups tell; nil if there are none.
func (g cgroups) statistics(id string) *mesos.ResourceStatistics {
	out := &mesos.ResourceStatistics{}
	if g.machine.Unified {
		g.statisticsV2(id, out)
	} else {
		g.statisticsV1(id, out)
	}
	if out.SizeVT() == 0 {
		return nil
	}
	return out
}

// tick is USER_HZ, in which cpuacct.stat counts.
const tick = 0.01

func (g cgroups) statisticsV1(id string, out *mesos.ResourceStatistics) {
	if cpu := g.fields("cpuacct", id, "cpuacct.stat"); len(cpu) > 0 {
		out.CpusUserTimeSecs, out.CpusSystemTimeSecs = new(float64(cpu["user"])*tick), new(float64(cpu["system"])*tick)
	}
	if cpu := g.fields("cpu", id, "cpu.stat"); len(cpu) > 0 {
		out.CpusNrPeriods, out.CpusNrThrottled = new(uint32(cpu["nr_periods"])), new(uint32(cpu["nr_throttled"]))
		out.CpusThrottledTimeSecs = new(float64(cpu["throttled_time"]) / 1e9)
	}
	out.MemTotalBytes = optional(g.number("memory", id, "memory.usage_in_bytes"))
	out.MemKmemUsageBytes = optional(g.number("memory", id, "memory.kmem.usage_in_bytes"))
	out.MemKmemTcpUsageBytes = optional(g.number("memory", id, "memory.kmem.tcp.usage_in_bytes"))
	out.MemTotalMemswBytes = optional(g.number("memory", id, "memory.memsw.usage_in_bytes"))
	stat := g.fields("memory", id, "memory.stat")
	field := func(name string) *uint64 { n, ok := stat[name]; return optional(n, ok) }
	out.MemFileBytes, out.MemCacheBytes = field("total_cache"), field("total_cache")
	out.MemAnonBytes, out.MemRssBytes = field("total_rss"), field("total_rss")
	out.MemMappedFileBytes, out.MemSwapBytes = field("total_mapped_file"), field("total_swap")
	out.MemUnevictableBytes = field("total_unevictable")
	g.counts(id, out)
}

func (g cgroups) statisticsV2(id string, out *mesos.ResourceStatistics) {
	if cpu := g.fields("cpu", id, "cpu.stat"); len(cpu) > 0 {
		out.CpusUserTimeSecs, out.CpusSystemTimeSecs = new(float64(cpu["user_usec"])/1e6), new(float64(cpu["system_usec"])/1e6)
		out.CpusNrPeriods, out.CpusNrThrottled = new(uint32(cpu["nr_periods"])), new(uint32(cpu["nr_throttled"]))
		out.CpusThrottledTimeSecs = new(float64(cpu["throttled_usec"]) / 1e6)
	}
	out.MemTotalBytes = optional(g.number("memory", id, "memory.current"))
	out.MemSwapBytes = optional(g.number("memory", id, "memory.swap.current"))
	stat := g.fields("memory", id, "memory.stat")
	field := func(name string) *uint64 { n, ok := stat[name]; return optional(n, ok) }
	out.MemFileBytes, out.MemCacheBytes = field("file"), field("file")
	out.MemAnonBytes, out.MemRssBytes = field("anon"), field("anon")
	out.MemMappedFileBytes, out.MemKmemUsageBytes = field("file_mapped"), field("kernel")
	out.MemUnevictableBytes = field("unevictable")
	g.counts(id, out)
}

// counts processes and threads.
func (g cgroups) counts(id string, out *mesos.ResourceStatistics) {
	if n := processesIn(g.dir("pids", id)); n > 0 {
		out.Processes = new(uint32(n))
	}
	if n, ok := g.number("pids", id, "pids.current"); ok && n > 0 {
		out.Threads = new(uint32(n))
	}
}

func optional(n uint64, ok bool) *uint64 {
	if !ok {
		return nil
	}
	return &n
}
