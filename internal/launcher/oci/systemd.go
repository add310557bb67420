package oci

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	systemd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// Systemd makes control groups, where it is the machine's first process: it takes it
// that it is the only one who does. It may be used by many goroutines.
//
// Each container has a slice, with its limits, and those in it have theirs in that. A
// slice is there until it is stopped, so what a container has used can be told after
// its end. Its processes are in a scope in the slice, which the runtime asks for and
// which is gone with the last of them:
//
//	mesos.slice / mesos-A.slice ─┬─ mesos-A.scope
//	                             └─ mesos-A-B.slice ── mesos-A-B.scope
type Systemd struct {
	Version string // what it says of itself

	mu  sync.Mutex
	bus *systemd.Conn

	limiting sync.RWMutex // held while limits are set
}

// FindSystemd finds the systemd that has started the machine. dir is where it has its
// units: --systemd_runtime_directory.
func FindSystemd(ctx context.Context, dir string) (*Systemd, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("systemd has not started this machine: %w (--systemd_runtime_directory); use --cgroup_driver=cgroupfs", err)
	}
	s := &Systemd{}
	bus, err := s.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("systemd cannot be reached on the system's D-Bus: %w; install and start it (Debian's package dbus), or use --cgroup_driver=cgroupfs", err)
	}
	version, err := bus.GetManagerProperty("Version")
	if err != nil {
		return nil, fmt.Errorf("ask systemd for its version: %w", err)
	}
	s.Version = strings.Trim(version, `"`)
	return s, nil
}

// connect returns a connection to the bus, a new one when the last one is broken.
func (s *Systemd) connect(ctx context.Context) (*systemd.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bus != nil && s.bus.Connected() {
		return s.bus, nil
	}
	if s.bus != nil {
		s.bus.Close()
		s.bus = nil
	}
	// The connection lives on when ctx is done, so it is not made with it.
	bus, err := systemd.NewSystemConnectionContext(context.WithoutCancel(ctx))
	if err != nil {
		return nil, err
	}
	s.bus = bus
	return bus, nil
}

// The errors of systemd that are none here.
const (
	noUnit     = "org.freedesktop.systemd1.NoSuchUnit"
	unitExists = "org.freedesktop.systemd1.UnitExists"
)

func named(err error, name string) bool {
	var of dbus.Error
	return errors.As(err, &of) && of.Name == name
}

// start starts a slice. One that an earlier life of the agent has left is made anew.
func (s *Systemd) start(ctx context.Context, unit string, limits []Setting) error {
	properties := append([]systemd.Property{
		systemd.PropDescription("container of Mesos"),
		property("CollectMode", "inactive-or-failed"), // it is forgotten when it is stopped, however it went
		property("CPUAccounting", true), property("MemoryAccounting", true), property("TasksAccounting", true), property("IOAccounting", true),
	}, properties(limits)...)
	for {
		err := s.job(ctx, func(bus *systemd.Conn, done chan<- string) error {
			_, err := bus.StartTransientUnitContext(ctx, unit, "fail", properties, done)
			return err
		})
		if !named(err, unitExists) || ctx.Err() != nil {
			return err
		}
		if err := s.stop(ctx, unit); err != nil {
			return err
		}
	}
}

// stop stops a slice, and what is in it. When there is none there is nothing to do. If
// its group was removed before, nobody sets limits of it any more.
func (s *Systemd) stop(ctx context.Context, unit string) error {
	s.limiting.Lock()
	s.limiting.Unlock() //nolint:staticcheck // those who saw the group are done
	err := s.job(ctx, func(bus *systemd.Conn, done chan<- string) error {
		_, err := bus.StopUnitContext(ctx, unit, "replace", done)
		return err
	})
	if named(err, noUnit) {
		return nil
	}
	return err
}

// job has systemd do something and waits until it is done.
func (s *Systemd) job(ctx context.Context, begin func(bus *systemd.Conn, done chan<- string) error) error {
	bus, err := s.connect(ctx)
	if err != nil {
		return err
	}
	done := make(chan string, 1)
	if err := begin(bus, done); err != nil {
		return err
	}
	select {
	case how := <-done:
		if how != "done" {
			return fmt.Errorf("systemd says %q", how)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for systemd: %w", ctx.Err())
	}
}

// limit sets the limits of a slice, whose group is dir, until it is stopped. When there
// is none there is nothing to do; systemd would keep the limits for one to come.
func (s *Systemd) limit(ctx context.Context, unit, dir string, limits []Setting) error {
	s.limiting.RLock()
	defer s.limiting.RUnlock()
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	bus, err := s.connect(ctx)
	if err != nil {
		return err
	}
	return bus.SetUnitPropertiesContext(ctx, unit, true, properties(limits)...)
}

func property(name string, value any) systemd.Property {
	return systemd.Property{Name: name, Value: dbus.MakeVariant(value)}
}

// known to systemd, which sets them again when it reloads its units.
var propertyNames = map[string]string{
	"cpu.shares": "CPUShares", "cpu.weight": "CPUWeight", "pids.max": "TasksMax",
	"memory.limit_in_bytes": "MemoryLimit", "memory.max": "MemoryMax", "memory.low": "MemoryLow", "memory.swap.max": "MemorySwapMax",
}

// properties are the settings that systemd knows, in its words.
func properties(settings []Setting) []systemd.Property {
	var out []systemd.Property
	for _, s := range settings {
		switch s.File {
		case "cpu.max":
			quota, every, _ := strings.Cut(s.Value, " ")
			out = append(out, cpuQuota(quota, every))
		case "cpu.cfs_quota_us":
			out = append(out, cpuQuota(s.Value, strconv.Itoa(period)))
		default:
			if name, ok := propertyNames[s.File]; ok {
				out = append(out, property(name, amount(s.Value)))
			}
		}
	}
	return out
}

// amount is a limit in systemd's numbers, of which the greatest is none.
func amount(text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil { // "max", or -1
		return math.MaxUint64
	}
	return n
}

// cpuQuota is in microseconds for each second. Systemd keeps whole percents of it, at
// least one.
func cpuQuota(quota, every string) systemd.Property {
	const percent = 10_000
	q, e := amount(quota), amount(every)
	if q != math.MaxUint64 && e != 0 {
		q = (q*1_000_000/e + percent - 1) / percent * percent
	}
	return property("CPUQuotaPerSecUSec", q)
}

// unitOf returns the name of a container's units without what they are: mesos-A-B for
// A.B. What is between dashes is a slice in one.
func unitOf(root, id string) string {
	all := strings.Split(strings.Trim(filepath.Clean(root), "/"), "/")
	if id != "" {
		all = append(all, strings.Split(id, ".")...)
	}
	for i := range all {
		all[i] = escape(all[i])
	}
	return strings.Join(all, "-")
}

// escape makes a part of a unit's name of a text: dashes, which ids are full of, are
// underscores, and what else it cannot have is in hex, as systemd does it.
func escape(text string) string {
	var out strings.Builder
	for _, b := range []byte(text) {
		switch {
		case b == '-':
			out.WriteByte('_')
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9':
			out.WriteByte(b)
		default:
			fmt.Fprintf(&out, `\x%02x`, b)
		}
	}
	return out.String()
}

const (
	slice = ".slice"
	scope = ".scope"
)

// slicePath returns the folder of a slice by the name of its unit: a.slice/a-b.slice
// for a-b.
func slicePath(unit string) string {
	var path, name string
	for part := range strings.SplitSeq(unit, "-") {
		name += part
		path = filepath.Join(path, name+slice)
		name += "-"
	}
	return path
}

// enter makes the groups of a container that its runtime does not make.
func (g cgroups) enter(id string, limits *specs.LinuxResources) error {
	if g.systemd == nil {
		return nil
	}
	return g.make(id, limits)
}

// mostPids is as many as a kernel can have. Crun cannot say "any" with version 1.
const mostPids = 4 << 20

// place says in a specification where its groups are, and returns the limits that are
// not for the runtime to set: with systemd those of the container's slice.
func (g cgroups) place(id string, s *specs.Spec) *specs.LinuxResources {
	all := s.Linux.Resources
	if g.systemd == nil {
		return all
	}
	unit := unitOf(g.root, id)
	prefix, name, _ := strings.Cut(unit, "-")
	s.Linux.CgroupsPath = unit + slice + ":" + prefix + ":" + name
	s.Linux.Resources = &specs.LinuxResources{Devices: all.Devices, Pids: &specs.LinuxPids{Limit: new(int64(mostPids))}} // or it would be systemd's limit
	s.Annotations = map[string]string{
		"org.systemd.property.CollectMode": "'inactive-or-failed'",
		"run.oci.systemd.subgroup":         "", // crun has the processes in a group within the scope else
	}
	return all
}
