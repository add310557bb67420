package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/meseta-project/meseta/allocation"
	"github.com/meseta-project/meseta/internal/flags"
	"github.com/meseta-project/meseta/internal/module"
	"github.com/meseta-project/meseta/internal/sorter"
)

// allocatorFlags are what decides in which order roles are served.
type allocatorFlags struct {
	Allocator, Priorities, Module, Failure string
	ModuleTimeout                          time.Duration
}

func (a *allocatorFlags) define(set *flags.Set) {
	set.Choice(&a.Allocator, "allocator", "hierarchical", []string{"hierarchical", "HierarchicalDRF", "drf", "priority", "random", "module"},
		"In which order roles and frameworks are served: hierarchical (also HierarchicalDRF and drf) is by shares; priority is by --allocation_priorities first; random is drawn each --allocation_interval; module is by an --allocation_module.")
	set.String(&a.Priorities, "allocation_priorities", "", "Priorities of roles, such as prod=10,batch=-5, the highest served first and strictly; others have 0. For --allocator=priority.").Optional()
	set.String(&a.Module, "allocation_module", "", "Program that decides, with its arguments after spaces. It runs as the master's child. For --allocator=module.").Optional()
	set.Duration(&a.ModuleTimeout, "allocation_module_timeout", 5*time.Second, "How long the allocation module has to answer.")
	set.Choice(&a.Failure, "allocation_module_failure", "drf", []string{"drf", "stop"},
		"What to do without the allocation module's answer: drf serves by shares, stop offers nothing until it answers.")
}

// policy sets the master's policy as the flags want it. A module runs when this
// returns.
func (f *masterFlags) policy(log *slog.Logger) (*module.Module, error) {
	a := &f.allocator
	if err := a.check(f.Allocator.RoleOrder, f.Allocator.FrameworkOrder); err != nil {
		return nil, err
	}
	f.Master.RankInterval, f.Master.ModuleTimeout = f.Allocator.Interval, a.ModuleTimeout
	switch a.Allocator {
	case "priority":
		p, err := allocation.ParsePriority(a.Priorities)
		if err != nil {
			return nil, fmt.Errorf("--allocation_priorities: %w", err)
		}
		f.Master.Policy = p
	case "random":
		f.Master.Policy = allocation.Random{Rand: newRand()}
	case "module":
		m, err := module.Open(strings.Fields(a.Module), log)
		if err != nil {
			return nil, fmt.Errorf("--allocation_module: %w", err)
		}
		f.Master.Module, f.Master.ModuleStops = true, a.Failure == "stop"
		return m, nil
	}
	return nil, nil
}

// check refuses flags that contradict each other, rather than to heed one only.
func (a *allocatorFlags) check(roles, frameworks sorter.Order) error {
	ranked := a.Allocator == "priority" || a.Allocator == "random" || a.Allocator == "module"
	switch {
	case a.Priorities != "" && a.Allocator != "priority":
		return fmt.Errorf("--allocation_priorities is for --allocator=priority, and it is %s", a.Allocator)
	case a.Module != "" && a.Allocator != "module":
		return fmt.Errorf("--allocation_module is for --allocator=module, and it is %s", a.Allocator)
	case a.Allocator == "module" && strings.TrimSpace(a.Module) == "":
		return errors.New("--allocator=module needs an --allocation_module")
	case a.Allocator == "priority" && a.Priorities == "":
		return errors.New("--allocator=priority needs --allocation_priorities")
	case ranked && (roles != sorter.DRF || frameworks != sorter.DRF):
		return fmt.Errorf("--allocator=%s decides the order, and --role_sorter and --framework_sorter must be drf", a.Allocator)
	case a.ModuleTimeout <= 0:
		return errors.New("--allocation_module_timeout must be more than 0")
	}
	return nil
}
