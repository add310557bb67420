package oci

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// What the tests with a kernel, which are not in this package, need of it.

// Known are the runtimes that are looked for.
var Known = known

// Seal returns a copy of a program that nobody can change.
var Seal = seal

const ProfileText = profileText

func Linux(info *mesos.LinuxInfo) *mesos.ContainerInfo { return linux(info) }

func Caps(names ...mesos.CapabilityInfo_Capability) *mesos.CapabilityInfo { return caps(names...) }

func (l *Launcher) Config() *Config { return &l.cfg }

func (l *Launcher) Bundle(id string) string { return l.bundle(id) }

func MakeBundle(dir string, s *specs.Spec) error { return makeBundle(dir, s) }

// Group returns a number of a container's group.
func (l *Launcher) Group(controller, id, file string) (uint64, bool) {
	return l.cgroups.number(controller, id, file)
}

// GroupDir returns the folder of a container's group.
func (l *Launcher) GroupDir(controller, id string) string { return l.cgroups.dir(controller, id) }

// MemoryLimit returns that of a container's group.
func (l *Launcher) MemoryLimit(id string) uint64 {
	limit, _ := l.cgroups.memory(id)
	return limit
}

// OwnerOf returns the user that a file belongs to.
func OwnerOf(t *testing.T, path string) uint32 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Uid
}

// HasGroup reports whether there is a group of a container, in any hierarchy.
func (l *Launcher) HasGroup(id string) bool {
	for _, root := range l.cfg.Machine.Hierarchies {
		if _, err := os.Stat(filepath.Join(root, l.cgroups.of(id))); err == nil {
			return true
		}
	}
	return false
}
