package oci

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// set sets what a container may use from now on. Limits are raised from the outer to
// the inner one, so in the other order than they are set in. For a container that has
// ended there is nothing to do.
func (g cgroups) set(id string, r *specs.LinuxResources) error {
	limits := Settings(r, g.machine.Unified)
	if g.systemd != nil && len(limits) > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), defaultTimeout)
		defer cancel()
		if err := g.systemd.limit(ctx, unitOf(g.root, id)+slice, g.dir("memory", id), limits); err != nil {
			return err
		}
	}
	for _, s := range slices.Backward(limits) {
		if _, ok := g.machine.Controllers[s.Controller]; !ok {
			continue
		}
		dir := g.dir(s.Controller, id)
		if err := writeGroup(filepath.Join(dir, s.File), s.Value); err != nil {
			if _, gone := os.Stat(dir); gone != nil {
				return nil
			}
			return err
		}
	}
	return nil
}

// writeGroup writes to a file of a control group, which is there or is not.
func writeGroup(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// Setting is a file of a control group and what is written to it.
type Setting struct{ Controller, File, Value string }

// Settings are what resources mean in control groups, in the order in which they are
// set for a new group.
func Settings(r *specs.LinuxResources, unified bool) []Setting {
	var out []Setting
	add := func(controller, file, value string) { out = append(out, Setting{controller, file, value}) }
	for _, d := range r.Devices {
		add("devices", "devices."+map[bool]string{true: "allow", false: "deny"}[d.Allow], deviceRule(d))
	}
	if r.CPU != nil {
		cpuSettings(r.CPU, unified, add)
	}
	if r.Memory != nil {
		memorySettings(r.Memory, unified, add)
	}
	if r.Pids != nil && r.Pids.Limit != nil {
		add("pids", "pids.max", limitText(*r.Pids.Limit))
	}
	return out
}

func deviceRule(d specs.LinuxDeviceCgroup) string {
	if d.Type == "" || d.Type == "a" {
		return "a *:* " + d.Access
	}
	part := func(n *int64) string {
		if n == nil || *n < 0 {
			return "*"
		}
		return strconv.FormatInt(*n, 10)
	}
	return fmt.Sprintf("%s %s:%s %s", d.Type, part(d.Major), part(d.Minor), d.Access)
}

func cpuSettings(c *specs.LinuxCPU, unified bool, add func(controller, file, value string)) {
	switch {
	case c.Shares == nil:
	case unified: // 2 to 262144 become 1 to 10000, as with runc
		add("cpu", "cpu.weight", strconv.FormatUint(1+(*c.Shares-2)*9999/262142, 10))
	default:
		add("cpu", "cpu.shares", strconv.FormatUint(*c.Shares, 10))
	}
	switch {
	case c.Quota == nil || c.Period == nil:
	case unified:
		add("cpu", "cpu.max", fmt.Sprintf("%s %d", limitText(*c.Quota), *c.Period))
	default:
		add("cpu", "cpu.cfs_period_us", strconv.FormatUint(*c.Period, 10))
		add("cpu", "cpu.cfs_quota_us", strconv.FormatInt(*c.Quota, 10))
	}
}

func memorySettings(m *specs.LinuxMemory, unified bool, add func(controller, file, value string)) {
	for _, f := range []struct {
		value  *int64
		v1, v2 string
	}{{m.Reservation, "soft_limit_in_bytes", "low"}, {m.Limit, "limit_in_bytes", "max"}, {m.Swap, "memsw.limit_in_bytes", ""}} {
		switch {
		case f.value == nil:
		case !unified:
			add("memory", "memory."+f.v1, strconv.FormatInt(*f.value, 10))
		case f.v2 != "":
			add("memory", "memory."+f.v2, limitText(*f.value))
		case *f.value < 0 || m.Limit == nil:
			add("memory", "memory.swap.max", "max")
		default: // that of version 1 counts memory too
			add("memory", "memory.swap.max", limitText(max(*f.value-*m.Limit, 0)))
		}
	}
}

// number is a limit of version 2, and of pids.
func limitText(n int64) string {
	if n < 0 {
		return "max"
	}
	return strconv.FormatInt(n, 10)
}
