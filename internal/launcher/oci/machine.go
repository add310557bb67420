package oci

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Machine is what a machine has that containers are isolated by.
type Machine struct {
	Unified      bool              // cgroups are of version 2
	Hybrid       bool              // both versions are mounted, and those of version 2 have controllers too
	Mount        string            // where cgroups are mounted: /sys/fs/cgroup
	Hierarchies  []string          // the roots of all that are mounted
	Controllers  map[string]string // those that there are, to their folders
	Capabilities uint64            // the most that this process may give, as bits
	Memory       uint64            // bytes
}

// LookAround finds out what the machine has. hierarchy is Mesos's
// --cgroups_hierarchy.
func LookAround(hierarchy string) (Machine, error) {
	m := Machine{Mount: hierarchy, Controllers: map[string]string{}, Hierarchies: []string{hierarchy}}
	if text, err := os.ReadFile(filepath.Join(hierarchy, "cgroup.controllers")); err == nil {
		m.Unified = true
		for name := range strings.FieldsSeq(string(text)) {
			m.Controllers[name] = hierarchy
		}
		// Done by programs, without controllers.
		m.Controllers["devices"], m.Controllers["freezer"] = hierarchy, hierarchy
	} else {
		m.separate()
	}
	m.Memory = memoryTotal()
	var err error
	m.Capabilities, err = boundingSet()
	return m, err
}

// separate finds the hierarchies of version 1, and one of version 2 beside them.
func (m *Machine) separate() {
	procs, err := filepath.Glob(filepath.Join(m.Mount, "*", "cgroup.procs"))
	if err != nil {
		return // the pattern is sound
	}
	m.Hierarchies = nil
	for _, file := range procs {
		dir := filepath.Dir(file)
		m.Hierarchies = append(m.Hierarchies, dir)
		if slices.Contains(controllers, filepath.Base(dir)) {
			m.Controllers[filepath.Base(dir)] = dir
		}
	}
	text, err := os.ReadFile(filepath.Join(m.Mount, "unified", "cgroup.controllers"))
	m.Hybrid = err == nil && strings.TrimSpace(string(text)) != ""
}

// controllers are those of version 1 by name.
var controllers = []string{"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "hugetlb", "net_cls", "net_prio", "perf_event"}

// boundingSet returns the capabilities that processes of ours can have.
func boundingSet() (uint64, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("look at the capabilities there are: %w", err)
	}
	_, rest, _ := strings.Cut(string(text), "\nCapBnd:\t")
	set, _, _ := strings.Cut(rest, "\n")
	return strconv.ParseUint(set, 16, 64)
}

func memoryTotal() uint64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "MemTotal:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kb, _ := strconv.ParseUint(fields[0], 10, 64) // the kernel writes a number
	return kb << 10
}

// Allows says in a line what runtime and machine allow, for the agent's log.
func (m Machine) Allows() string {
	version := "cgroups v1"
	if m.Unified {
		version = "cgroups v2"
	}
	var missing []string
	for _, name := range isolatorNames() {
		if missingController(name, m) != "" {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return version + "; all isolators"
	}
	return version + "; all isolators but " + strings.Join(missing, ", ")
}
