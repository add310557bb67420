package oci

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/meseta-project/meseta/internal/launcher"
)

// NetCls are the classes that packets of containers are in, for the machine's
// traffic control and firewall: Primary:Low to Primary:High, one for each.
type NetCls struct{ Primary, Low, High uint16 }

// ParseNetCls reads --cgroups_net_cls_primary_handle and …_secondary_handles; nil
// if there is no primary one: then it is the operator who gives classes.
func ParseNetCls(primary, secondary string) (*NetCls, error) {
	if primary == "" {
		return nil, nil //nolint:nilnil // none is a choice too
	}
	out := &NetCls{Low: 1, High: 0xffff}
	var err error
	if out.Primary, err = handle(primary); err != nil {
		return nil, fmt.Errorf("--cgroups_net_cls_primary_handle: %w", err)
	}
	if secondary == "" {
		return out, nil
	}
	low, high, ok := strings.Cut(secondary, ",")
	if !ok {
		return nil, fmt.Errorf("--cgroups_net_cls_secondary_handles: %q is no range; say the first and the last, as 0x1,0xffff", secondary)
	}
	if out.Low, err = handle(low); err == nil {
		out.High, err = handle(high)
	}
	if err == nil && out.Low > out.High {
		err = fmt.Errorf("there is nothing from %s to %s", low, high)
	}
	if err != nil {
		return nil, fmt.Errorf("--cgroups_net_cls_secondary_handles: %w", err)
	}
	return out, nil
}

func handle(text string) (uint16, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 0, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is no handle; one has 16 bits and is not 0, as 0xAAAA", text)
	}
	return uint16(n), nil
}

// classes are those that containers have. It may be used by many goroutines.
type classes struct {
	of   *NetCls
	mu   sync.Mutex
	used map[uint16]string // a container's group, by what is of its own in the class
	last uint16
}

// newClasses returns the classes, with those that containers of an earlier life
// have.
func newClasses(of *NetCls, g cgroups) *classes {
	c := &classes{of: of, used: map[uint16]string{}}
	if of == nil || g.machine.Controllers["net_cls"] == "" {
		return c
	}
	c.find(g.machine.Controllers["net_cls"], g.top(), 0)
	return c
}

// find takes note of the classes of the groups in one. A group that is in the class of
// the one that it is in has none of its own.
func (c *classes) find(hierarchy, top string, outer uint64) {
	entries, err := os.ReadDir(filepath.Join(hierarchy, top))
	if err != nil {
		return // there are none
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		group, class := filepath.Join(top, entry.Name()), outer
		if text, err := os.ReadFile(filepath.Join(hierarchy, group, "net_cls.classid")); err == nil {
			class, _ = strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
		}
		if class>>16 == uint64(c.of.Primary) && class != outer {
			c.used[uint16(class)] = group
		}
		c.find(hierarchy, group, class)
	}
}

// take gives a container, by its group, a class, or says which it has.
func (c *classes) take(group string) (uint32, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for own, by := range c.used {
		if by == group {
			return uint32(c.of.Primary)<<16 | uint32(own), nil
		}
	}
	n := int(c.of.High) - int(c.of.Low) + 1
	for i := range n { // from the one after the last, so that none is soon another's
		own := uint16(int(c.of.Low) + (int(max(c.last+1, c.of.Low))-int(c.of.Low)+i)%n)
		if c.used[own] == "" {
			c.used[own], c.last = group, own
			return uint32(c.of.Primary)<<16 | uint32(own), nil
		}
	}
	return 0, fmt.Errorf("all %d handles of --cgroups_net_cls_secondary_handles are in use", n)
}

// leave takes a container's class back.
func (c *classes) leave(group string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for own, by := range c.used {
		if by == group {
			delete(c.used, own)
		}
	}
}

// classifies reports whether classes are the launcher's to give.
func (l *Launcher) classifies() bool { return l.cfg.NetCls != nil && l.cfg.has("cgroups/net_cls") }

// Class returns the class that the packets of a container that is to be launched will
// be in, 0 for none. It is the container's until that is released.
func (l *Launcher) Class(id string) (uint32, error) {
	if !l.classifies() {
		return 0, nil
	}
	class, err := l.classes.take(l.cgroups.of(id))
	if err != nil {
		return 0, fmt.Errorf("give container %s a class: %w", id, err)
	}
	return class, nil
}

// classify makes the group of a container that is to be launched, with a class, if
// classes are ours to give. The runtime, which finds it, would ask for a hierarchy
// of net_prio too if it were to do that.
//
// One in another that shares its groups is in the other's class, which its group has
// from the beginning.
func (l *Launcher) classify(spec *launcher.Spec) error {
	id := spec.ID
	if !l.classifies() || nested(id) && spec.Resources.Shared {
		return nil
	}
	class, err := l.Class(id)
	if err != nil {
		return err
	}
	dir := l.cgroups.dir("net_cls", id)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "net_cls.classid"), strconv.AppendUint(nil, uint64(class), 10), 0o644)
}

// NetClass returns the class that the container's packets are in, 0 for none.
func (p *process) NetClass() uint32 {
	class, _ := p.l.cgroups.number("net_cls", p.container, "net_cls.classid")
	return uint32(class)
}
