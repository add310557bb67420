package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/internal/sorter"
)

// TestAllocationFlags: what operators set reaches the master and its allocator.
func TestAllocationFlags(t *testing.T) {
	for flag, of := range map[string]func(*masterFlags) any{
		`--allocation_interval=2secs => 2000000000`:               func(f *masterFlags) any { return f.Allocator.Interval },
		`--offer_timeout=30secs => 30000000000`:                   func(f *masterFlags) any { return f.core().OfferTimeout },
		`--role_sorter=random => true`:                            func(f *masterFlags) any { return f.Allocator.RoleOrder == sorter.Random },
		`--user_sorter=random => true`:                            func(f *masterFlags) any { return f.Allocator.RoleOrder == sorter.Random },
		`--framework_sorter=random => true`:                       func(f *masterFlags) any { return f.Allocator.FrameworkOrder == sorter.Random },
		`--framework_sorter=drf => true`:                          func(f *masterFlags) any { return f.Allocator.FrameworkOrder == sorter.DRF },
		`--fair_sharing_excluded_resource_names=a,b => ["a","b"]`: func(f *masterFlags) any { return f.Allocator.ExcludedFromFairShare },
		`--min_allocatable_resources=cpus:1;mem:2|gpus:1 => "cpus:1; mem:2 or gpus:1"`: func(f *masterFlags) any {
			var all []string
			for _, q := range f.Allocator.MinAllocatable {
				all = append(all, q.String())
			}
			return strings.Join(all, " or ")
		},
		`--filter_gpu_resources=false => true`:          func(f *masterFlags) any { return f.Allocator.ShowGPUs },
		`--filter_gpu_resources=true => false`:          func(f *masterFlags) any { return f.Allocator.ShowGPUs },
		`--roles=a,b/c => ["a","b/c"]`:                  func(f *masterFlags) any { return f.core().Roles },
		`--weights=a=2.5,b/c=1 => {"a":2.5,"b/c":1}`:    func(f *masterFlags) any { return f.core().Weights },
		`--whitelist=file:///etc/hosts => "/etc/hosts"`: func(f *masterFlags) any { return f.whitelist() },
		`--domain={"fault_domain":{"region":{"name":"r"},"zone":{"name":"z"}}} => "r/z"`: func(f *masterFlags) any {
			d := f.Domain.GetFaultDomain()
			return d.GetRegion().GetName() + "/" + d.GetZone().GetName()
		},
		`--allocator_agent_recovery_factor=0.5 => 0.5`:      func(f *masterFlags) any { return f.Allocator.RecoveryFactor },
		`--allocator_recovery_timeout=5secs => 5000000000`:  func(f *masterFlags) any { return f.Allocator.RecoveryTimeout },
		`--max_declines_in_a_row=0 => 0`:                    func(f *masterFlags) any { return f.Allocator.Patience },
		`--registry_strict=false => 20`:                     func(f *masterFlags) any { return f.Allocator.Patience },
		`--whitelist=* => ""`:                               func(f *masterFlags) any { return f.whitelist() },
		`--offer_constraints_re2_max_mem=8KB => 8192`:       func(f *masterFlags) any { return f.core().RegexLimits.MaxMemory },
		`--offer_constraints_re2_max_program_size=50 => 50`: func(f *masterFlags) any { return f.core().RegexLimits.MaxProgram },
		`--cluster= => {"MaxMemory":4096,"MaxProgram":100}`: func(f *masterFlags) any { return f.core().RegexLimits },
	} {
		given, want, _ := strings.Cut(flag, " => ")
		f := newMasterFlags()
		if _, err := f.Set.Parse([]string{given}, nil); err != nil {
			t.Errorf("%s: %v", given, err)
			continue
		}
		if got, err := json.Marshal(of(f)); err != nil || string(got) != want {
			t.Errorf("%s: %s, %v; want %s", given, got, err, want)
		}
	}
}

// TestAllocationFlagsRefused: what makes no sense is refused at the start, and
// says what does.
func TestAllocationFlagsRefused(t *testing.T) {
	for given, want := range map[string]string{
		"--allocation_interval=0secs":                       "--allocation_interval: must be more than 0",
		"--offer_timeout=0secs":                             "--offer_timeout: must be more than 0",
		"--reclaim_after=0secs":                             "--reclaim_after: must be more than 0",
		"--reclaim --reclaim_roles=a/b":                     "not a top-level role",
		"--reclaim_roles=a":                                 "without --reclaim",
		"--role_sorter=fifo":                                "neither drf nor random",
		"--framework_sorter=":                               "neither drf nor random",
		"--min_allocatable_resources=cpus:x":                "cpus",
		"--filter_gpu_resources=perhaps":                    "invalid syntax",
		"--roles=a,/b":                                      "Role '/b' cannot start with a slash",
		"--roles=a,,b":                                      "Role names cannot be the empty string",
		"--weights=a":                                       `"a" is not a weight such as role=2.5`,
		"--weights=a=0":                                     `"a=0" is not a weight such as role=2.5`,
		"--weights=a=NaN":                                   `"a=NaN" is not a weight such as role=2.5`,
		"--weights=a=Inf":                                   `"a=Inf" is not a weight such as role=2.5`,
		"--weights=/a=1":                                    "Role '/a' cannot start with a slash",
		"--roles=a --weights=b=1":                           "--weights: has role b, which --roles lacks",
		"--offer_constraints_re2_max_mem=lot":               "lot",
		"--allocator_agent_recovery_factor=1.5":             "must be from 0 to 1",
		"--max_declines_in_a_row=-1":                        "below 0",
		"--registry_strict=true":                            "takes false alone",
		"--domain={}":                                       "must define `fault_domain`",
		"--domain=eu":                                       "want JSON",
		`--domain={"fault_domain":{"region":{"name":"r"}}}`: "zone",
	} {
		if _, err := newMasterFlags().Set.Parse(strings.Fields(given), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", given, err, want)
		}
	}
}
