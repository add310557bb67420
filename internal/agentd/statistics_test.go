package agentd

import (
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
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
