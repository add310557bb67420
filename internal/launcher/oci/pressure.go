package oci

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/launcher"
)

// pressureLevels are those of control groups of version 1, in the kernel's words.
var pressureLevels = [...]string{"low", "medium", "critical"}

// pressure counts the events of a group's memory pressure, at each level. The kernel
// counts; nobody has to wait for it.
type pressure struct {
	mu     sync.Mutex
	events []int // one for each level; nil where the kernel tells of none
	counts [len(pressureLevels)]uint64
}

// pressureEvents begins to count. Version 2 has no such events.
func (g cgroups) pressureEvents(id string) (*pressure, error) {
	p := &pressure{}
	if g.machine.Unified || g.machine.Controllers["memory"] == "" {
		return p, nil
	}
	dir := g.dir("memory", id)
	source, err := os.Open(filepath.Join(dir, "memory.pressure_level"))
	if err != nil {
		return p, err
	}
	defer source.Close()
	for _, level := range pressureLevels {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			p.close()
			return p, err
		}
		p.events = append(p.events, fd)
		if err := os.WriteFile(filepath.Join(dir, "cgroup.event_control"), fmt.Appendf(nil, "%d %d %s", fd, source.Fd(), level), 0); err != nil {
			p.close()
			return p, err
		}
	}
	return p, nil
}

func (p *pressure) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, fd := range p.events {
		unix.Close(fd)
	}
	p.events = nil
}

// tell adds the counts so far.
func (p *pressure) tell(out *mesos.ResourceStatistics) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.events == nil {
		return
	}
	var buffer [8]byte
	for i, fd := range p.events {
		if n, err := unix.Read(fd, buffer[:]); err == nil && n == len(buffer) {
			p.counts[i] += binary.NativeEndian.Uint64(buffer[:])
		}
	}
	counts := p.counts // those of p go on
	out.MemLowPressureCounter, out.MemMediumPressureCounter, out.MemCriticalPressureCounter = &counts[0], &counts[1], &counts[2]
}

// stalls returns how long a group's processes have waited for what they need, by
// resource; nil where the kernel does not tell: it does in version 2.
func (g cgroups) stalls(id string) map[string]launcher.Stalls {
	if !g.machine.Unified {
		return nil
	}
	var out map[string]launcher.Stalls
	for _, resource := range []string{"cpu", "memory", "io"} {
		text, err := os.ReadFile(filepath.Join(g.machine.Mount, g.of(id), resource+".pressure"))
		if err != nil {
			continue
		}
		if out == nil {
			out = map[string]launcher.Stalls{}
		}
		out[resource] = parseStalls(string(text))
	}
	return out
}

// parseStalls reads the kernel's lines "some avg10=0.00 avg60=0.00 avg300=0.00 total=0".
func parseStalls(text string) launcher.Stalls {
	var out launcher.Stalls
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		to := map[string]*launcher.Stall{"some": &out.Some, "full": &out.Full}[fields[0]]
		if to == nil {
			continue
		}
		for _, field := range fields[1:] {
			name, value, _ := strings.Cut(field, "=")
			n, err := strconv.ParseFloat(value, 64)
			if err != nil || !(n >= 0 && n < 1<<42) {
				continue
			}
			switch name {
			case "avg10":
				to.Avg10 = n
			case "avg60":
				to.Avg60 = n
			case "avg300":
				to.Avg300 = n
			case "total":
				to.Total = time.Duration(n) * time.Microsecond
			}
		}
	}
	return out
}
