package oci

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/launcher/posix"
)

// process is a container that runs, or a process in one.
type process struct {
	launcher.Process // the shim and what is below it

	l         *Launcher
	id        string
	container string // whose groups it is in: itself, but for further processes
	events    *os.File
	listened  chan struct{} // closed when events are listened to no more
	pressure  *pressure
	limited   atomic.Pointer[launcher.Limitation]
}

// watch looks out for the container's running out of memory. Where that is not
// told, the counter says so at the end.
func (l *Launcher) watch(shim launcher.Process, id, container string) *process {
	p := &process{Process: shim, l: l, id: id, container: container, pressure: &pressure{}}
	if id != container {
		return p
	}
	if counted, err := l.cgroups.pressureEvents(id); err == nil {
		p.pressure = counted // kernels may be built without
	}
	l.running.Store(id, p)
	events, err := l.cgroups.oomEvents(id)
	if err != nil {
		return p
	}
	p.events, p.listened = events, make(chan struct{})
	go p.listen()
	return p
}

// listen kills the container when it has run out of memory: what is left of it
// may be of no use any more.
func (p *process) listen() {
	defer close(p.listened)
	buffer := make([]byte, 4096)
	for {
		_, ended := p.events.Read(buffer) // as Wait has it
		if ended != nil && !pending(p.events) {
			return
		}
		// The event of version 1 comes before the kernel counts what it kills, and when a
		// group above is out of memory too; that of version 2 when one below is.
		if g := p.l.cgroups; g.full(p.id) && (!g.machine.Unified || g.oomKills(p.id) > 0) {
			p.outOfMemory(p.id)
			if ended == nil {
				_ = p.Kill() // Wait tells, and the agent kills again what it destroys
			}
			return
		}
		if ended != nil {
			return
		}
	}
}

// pending reports whether something can be read.
func pending(f *os.File) bool {
	conn, err := f.SyscallConn()
	if err != nil {
		return false
	}
	ready := 0
	err = conn.Control(func(fd uintptr) {
		ready, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0) // if that fails there is nothing
	})
	return err == nil && ready > 0
}

// First implements [launcher.Process]: the runtime has written it down. It is a
// child of the shim, or somebody else's process by now.
func (p *process) First() int {
	text, err := os.ReadFile(filepath.Join(p.l.bundle(p.id), "pid"))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || !posix.IsChild(pid, p.PID()) {
		return 0
	}
	return pid
}

// InitFile is a file in the bundle of a container whose first process is no task's
// but an init, by which its starter has the task started.
const InitFile = "init"

// Signal implements [launcher.Process]. An init is not meant, and LXC's would kill
// all there is.
func (p *process) Signal(sig syscall.Signal) error {
	if _, err := os.Stat(filepath.Join(p.l.bundle(p.id), InitFile)); err != nil {
		return p.Process.Signal(sig)
	}
	return posix.SignalBelow(p.First(), sig)
}

// Wait implements [launcher.Process].
func (p *process) Wait() (int, error) {
	status, err := p.Process.Wait()
	if p.id == p.container {
		p.l.running.CompareAndDelete(p.id, p)
		if nested(p.id) {
			p.l.cgroups.endStrays(p.id)
		}
	}
	if p.events != nil {
		_ = p.events.SetReadDeadline(time.Unix(1, 0)) // it can: it waits for events
		<-p.listened
		p.events.Close()
	}
	p.pressure.close()
	if p.id == p.container && p.l.cgroups.oomKills(p.id) > 0 {
		p.blame()
	}
	return status, err
}

// blame finds out whose memory it was for want of which processes were killed: the
// container's, or that of one that it is in. Else it was the machine's.
func (p *process) blame() {
	for id, more := p.id, true; more; id, more = parentOf(id) {
		if p.l.cgroups.full(id) {
			p.outOfMemory(id)
			return
		}
	}
}

// outOfMemory notes that a container has run out of memory.
func (p *process) outOfMemory(of string) {
	limit, most := p.l.cgroups.memory(of)
	stat := p.l.cgroups.text("memory", of, "memory.stat")
	p.limited.CompareAndSwap(nil, &launcher.Limitation{
		Of:       of,
		Reason:   mesos.TaskStatus_REASON_CONTAINER_LIMITATION_MEMORY,
		Message:  fmt.Sprintf("Memory limit exceeded: Requested: %s Maximum Used: %s\n\nMEMORY STATISTICS: \n%s\n", bytesText(limit), bytesText(most), stat),
		Resource: "mem", Amount: float64(most) / (1 << 20),
	})
}

// bytesText returns a number of bytes as Mesos writes it: in the largest unit of
// which it is a multiple.
func bytesText(n uint64) string {
	units := []string{"B", "KB", "MB", "GB", "TB"}
	i := 0
	for n != 0 && n%1024 == 0 && i < len(units)-1 {
		n, i = n/1024, i+1
	}
	return strconv.FormatUint(n, 10) + units[i]
}

// Limitation implements [launcher.Process].
func (p *process) Limitation() *launcher.Limitation { return p.limited.Load() }

// Usage implements [launcher.Process].
func (p *process) Usage() launcher.Usage {
	u := p.Process.Usage()
	if p.id == p.container {
		u.Cgroup, u.Stalls = p.l.cgroups.statistics(p.id), p.l.cgroups.stalls(p.id)
		if u.Cgroup != nil {
			p.pressure.tell(u.Cgroup)
		}
		if u.Cgroup != nil && p.l.cfg.has("cgroups/blkio") {
			u.Cgroup.BlkioStatistics = p.l.cgroups.blkio(p.id)
		}
	}
	return u
}

// Update implements [launcher.Process]. A hard limit of memory is only raised: to
// lower it may kill what is in the middle of something.
func (p *process) Update(r launcher.Resources) error {
	o := &p.l.cfg.Options
	resources := update(o.Isolation, r, o)
	if m := resources.Memory; m != nil && m.Limit != nil {
		now, _ := p.l.cgroups.memory(p.id)
		if *m.Limit >= 0 && now != 0 && uint64(*m.Limit) < now && now < math.MaxInt64 {
			m.Limit, m.Swap = nil, nil
		}
	}
	if err := p.l.cgroups.set(p.id, resources); err != nil {
		return fmt.Errorf("update container %s: %w", p.id, err)
	}
	return nil
}
