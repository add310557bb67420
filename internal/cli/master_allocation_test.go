package cli

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/meseta-project/meseta/allocation"
	"github.com/meseta-project/meseta/internal/sorter"
)

// TestAllocatorFlags: what contradicts itself is refused, in words that name the
// flags.
func TestAllocatorFlags(t *testing.T) {
	for _, test := range []struct {
		flags allocatorFlags
		roles sorter.Order
		want  string // "" for no error
	}{
		{allocatorFlags{Allocator: "hierarchical"}, sorter.Random, ""},
		{allocatorFlags{Allocator: "random"}, sorter.DRF, ""},
		{allocatorFlags{Allocator: "priority", Priorities: "a=1"}, sorter.DRF, ""},
		{allocatorFlags{Allocator: "priority"}, sorter.DRF, "needs --allocation_priorities"},
		{allocatorFlags{Allocator: "priority", Priorities: "a"}, sorter.DRF, "not a priority"},
		{allocatorFlags{Allocator: "priority", Priorities: "a=1"}, sorter.Random, "must be drf"},
		{allocatorFlags{Allocator: "drf", Priorities: "a=1"}, sorter.DRF, "is for --allocator=priority"},
		{allocatorFlags{Allocator: "drf", Module: "m"}, sorter.DRF, "is for --allocator=module"},
		{allocatorFlags{Allocator: "module", Module: " "}, sorter.DRF, "needs an --allocation_module"},
		{allocatorFlags{Allocator: "module", Module: "/nonexistent"}, sorter.DRF, "there is no allocation module /nonexistent"},
	} {
		f := newMasterFlags()
		f.allocator, f.Allocator.RoleOrder = test.flags, test.roles
		f.allocator.ModuleTimeout = time.Second
		_, err := f.policy(slog.New(slog.DiscardHandler))
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%+v: %v, want %q", test.flags, err, test.want)
		}
	}
	f := newMasterFlags()
	f.allocator.Allocator, f.allocator.Priorities = "priority", "a=1"
	if _, err := f.policy(slog.New(slog.DiscardHandler)); err != nil || f.Master.Policy.(allocation.Priority)["a"] != 1 {
		t.Errorf("%v, %v", f.Master.Policy, err)
	}
}
