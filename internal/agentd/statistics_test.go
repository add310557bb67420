package agentd

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/wire"
	"github.com/meseta-project/meseta/resources"
)

func TestAddStatistics(t *testing.T) {
	io := func(minor, reads uint64) *mesos.ResourceStatistics {
		return &mesos.ResourceStatistics{MemTotalBytes: new(uint64(1)), CpusUserTimeSecs: new(0.5), BlkioStatistics: &mesos.CgroupInfo_Blkio_Statistics{
			Throttling: []*mesos.CgroupInfo_Blkio_Throttling_Statistics{{
				Device:     &mesos.Device_Number{MajorNumber: new(uint64(8)), MinorNumber: &minor},
				IoServiced: []*mesos.CgroupInfo_Blkio_Value{{Op: mesos.CgroupInfo_Blkio_READ.Enum(), Value: &reads}},
			}},
		}}
	}
	a := io(0, 3)
	sum := addStatistics(addStatistics(a, io(0, 4)), io(16, 5))
	all := sum.GetBlkioStatistics().GetThrottling()
	if sum.GetMemTotalBytes() != 3 || sum.GetCpusUserTimeSecs() != 1.5 || len(all) != 2 ||
		all[0].GetIoServiced()[0].GetValue() != 7 || all[1].GetIoServiced()[0].GetValue() != 5 {
		t.Errorf("%v", sum)
	}
	if got := a.GetBlkioStatistics().GetThrottling()[0].GetIoServiced()[0].GetValue(); got != 3 {
		t.Errorf("what was added to has changed: %d", got)
	}
	if got := addStatistics(nil, a); got != a {
		t.Errorf("%v", got)
	}
}

func TestTellLimits(t *testing.T) {
	machine := func() httpd.System { return httpd.System{CPUs: 8, MemTotal: 1 << 34} }
	for _, test := range []struct {
		may                 launcher.Resources
		cfs                 bool
		soft, cpus          float64
		softBytes, memBytes uint64
	}{
		{launcher.Resources{CPUs: 1, Mem: 64}, false, 1, 0, 64 << 20, 64 << 20},
		{launcher.Resources{CPUs: 1, Mem: 64}, true, 1, 1, 64 << 20, 64 << 20},
		{launcher.Resources{CPUs: 1, Mem: 64, CPULimit: 2.5, MemLimit: 96.5}, true, 1, 2.5, 64 << 20, 96 << 20},
		{launcher.Resources{CPUs: 1, Mem: 64, CPULimit: math.Inf(1), MemLimit: math.Inf(1)}, false, 1, 8, 64 << 20, 1 << 34},
		{launcher.Resources{}, true, 0, 0, 0, 0},
	} {
		got := &mesos.ResourceStatistics{}
		tellLimits(got, test.may, test.cfs, machine)
		if got.GetCpusSoftLimit() != test.soft || got.GetCpusLimit() != test.cpus || got.GetMemSoftLimitBytes() != test.softBytes || got.GetMemLimitBytes() != test.memBytes {
			t.Errorf("%+v, cfs %t: %v", test.may, test.cfs, got)
		}
	}
}

func TestAllowed(t *testing.T) {
	task := func(phase agent.TaskPhase, limit float64) *agent.TaskRow {
		row := &agent.TaskRow{Phase: phase, Task: &mesos.Task{Resources: resources.MustParse("cpus:1;mem:64").Proto()}}
		if limit > 0 {
			row.Task.Limits = map[string]*mesos.Value_Scalar{"mem": {Value: &limit}}
		}
		return row
	}
	x := &agent.ExecutorRow{Info: &mesos.ExecutorInfo{Resources: resources.MustParse("cpus:0.1;mem:32").Proto()}}
	v := &view{byRun: map[ids.ContainerID][]*agent.TaskRow{"": {
		task(agent.TaskLaunched, 128), task(agent.TaskQueued, 0), task(agent.TaskTerminated, 512),
	}}}
	if got, want := v.allowed(x), (launcher.Resources{CPUs: 2.1, Mem: 160, MemLimit: 224}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestWriteStalls(t *testing.T) {
	var out bytes.Buffer
	w := wire.NewWriter(&out)
	w.BeginObject()
	writeStalls(w, map[string]launcher.Stalls{"io": {Some: launcher.Stall{Avg10: 1.5, Total: time.Second}}})
	writeStalls(w, nil)
	w.EndObject()
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, `"pressure":{"io":{"full":{"avg10":0.0`) || !strings.Contains(got, `"some":{"avg10":1.5,`) || !strings.Contains(got, `"total_secs":1.0`) {
		t.Error(got)
	}
}
