package oci

import (
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestSettings(t *testing.T) {
	number := func(n int64) *int64 { return &n }
	shares, period := uint64(1024), uint64(100000)
	for name, test := range map[string]struct {
		r      specs.LinuxResources
		v1, v2 string
	}{
		"shares": {specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: &shares}}, "cpu.shares=1024", "cpu.weight=39"},
		"quota":  {specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: number(20000), Period: &period}}, "cpu.cfs_period_us=100000 cpu.cfs_quota_us=20000", "cpu.max=20000 100000"},
		"memory": {
			specs.LinuxResources{Memory: &specs.LinuxMemory{Reservation: number(1), Limit: number(5), Swap: number(5)}},
			"memory.soft_limit_in_bytes=1 memory.limit_in_bytes=5 memory.memsw.limit_in_bytes=5", "memory.low=1 memory.max=5 memory.swap.max=0",
		},
		"no limits": {
			specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: number(-1), Swap: number(-1)}, Pids: &specs.LinuxPids{Limit: number(-1)}},
			"memory.limit_in_bytes=-1 memory.memsw.limit_in_bytes=-1 pids.max=max", "memory.max=max memory.swap.max=max pids.max=max",
		},
	} {
		for unified, want := range map[bool]string{false: test.v1, true: test.v2} {
			var got []string
			for _, s := range Settings(&test.r, unified) {
				got = append(got, s.File+"="+s.Value)
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%s: %q, want %s", name, got, want)
			}
		}
	}
}
