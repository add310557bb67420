package docker

import (
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/launcher"
)

// Usage implements launcher.Process.
func (p *Process) Usage() launcher.Usage {
	s, err := p.e.stats(p.id)
	if err != nil || s.PidsStats.Current == 0 && s.MemoryStats.Usage == 0 {
		return launcher.Usage{}
	}
	u := launcher.Usage{
		Processes: max(1, int(s.PidsStats.Current)), Threads: int(s.PidsStats.Current),
		User:   time.Duration(s.CPUStats.CPUUsage.UsageInUsermode),
		System: time.Duration(s.CPUStats.CPUUsage.UsageInKernelmode),
		RSS:    resident(s.MemoryStats.Stats),
	}
	u.Cgroup = statistics(s, p.e.cfg.CFS)
	return u
}

// resident returns the memory that is not a cache of files, by the names of cgroups
// version 1 and 2.
func resident(stats map[string]uint64) uint64 {
	if rss, ok := stats["rss"]; ok {
		return rss
	}
	return stats["anon"]
}

// statistics returns what the Engine tells of a container: of CPU and memory what
// Mesos tells of Docker containers, and beyond that what the cgroups of others tell.
// The Engine counts threads, which cgroups call pids.
func statistics(s *container.StatsResponse, cfs bool) *mesos.ResourceStatistics {
	of := func(names ...string) *uint64 {
		for _, name := range names {
			if v, ok := s.MemoryStats.Stats[name]; ok {
				return &v
			}
		}
		return nil
	}
	out := &mesos.ResourceStatistics{
		CpusUserTimeSecs:   new(time.Duration(s.CPUStats.CPUUsage.UsageInUsermode).Seconds()),
		CpusSystemTimeSecs: new(time.Duration(s.CPUStats.CPUUsage.UsageInKernelmode).Seconds()),
		Threads:            new(uint32(s.PidsStats.Current)),
		MemTotalBytes:      &s.MemoryStats.Usage, MemRssBytes: new(resident(s.MemoryStats.Stats)), MemAnonBytes: new(resident(s.MemoryStats.Stats)),
		MemCacheBytes: of("cache", "file"), MemFileBytes: of("cache", "file"),
		MemMappedFileBytes: of("mapped_file", "file_mapped"), MemSwapBytes: of("swap"), MemUnevictableBytes: of("unevictable"),
		BlkioStatistics: blkio(&s.BlkioStats),
	}
	if cfs {
		out.CpusNrPeriods = new(uint32(s.CPUStats.ThrottlingData.Periods))
		out.CpusNrThrottled = new(uint32(s.CPUStats.ThrottlingData.ThrottledPeriods))
		out.CpusThrottledTimeSecs = new(time.Duration(s.CPUStats.ThrottlingData.ThrottledTime).Seconds())
	}
	traffic(s.Networks, out)
	return out
}

// traffic adds up what has gone over the networks of a container that has its own.
func traffic(all map[string]container.NetworkStats, out *mesos.ResourceStatistics) {
	if len(all) == 0 {
		return
	}
	var n container.NetworkStats
	for _, one := range all {
		n.RxBytes, n.RxPackets, n.RxErrors, n.RxDropped = n.RxBytes+one.RxBytes, n.RxPackets+one.RxPackets, n.RxErrors+one.RxErrors, n.RxDropped+one.RxDropped
		n.TxBytes, n.TxPackets, n.TxErrors, n.TxDropped = n.TxBytes+one.TxBytes, n.TxPackets+one.TxPackets, n.TxErrors+one.TxErrors, n.TxDropped+one.TxDropped
	}
	out.NetRxBytes, out.NetRxPackets, out.NetRxErrors, out.NetRxDropped = &n.RxBytes, &n.RxPackets, &n.RxErrors, &n.RxDropped
	out.NetTxBytes, out.NetTxPackets, out.NetTxErrors, out.NetTxDropped = &n.TxBytes, &n.TxPackets, &n.TxErrors, &n.TxDropped
}

// blkio returns what was read from devices and written to them; nil: nothing was.
func blkio(s *container.BlkioStats) *mesos.CgroupInfo_Blkio_Statistics {
	var all []*mesos.CgroupInfo_Blkio_Throttling_Statistics
	add := func(entries []container.BlkioStatEntry, to func(*mesos.CgroupInfo_Blkio_Throttling_Statistics) *[]*mesos.CgroupInfo_Blkio_Value) {
		for _, entry := range entries {
			op, known := mesos.CgroupInfo_Blkio_Operation_value[strings.ToUpper(entry.Op)]
			if !known {
				continue
			}
			device := &mesos.Device_Number{MajorNumber: &entry.Major, MinorNumber: &entry.Minor}
			i := slices.IndexFunc(all, func(t *mesos.CgroupInfo_Blkio_Throttling_Statistics) bool { return proto.Equal(t.GetDevice(), device) })
			if i < 0 {
				i, all = len(all), append(all, &mesos.CgroupInfo_Blkio_Throttling_Statistics{Device: device})
			}
			values := to(all[i])
			*values = append(*values, &mesos.CgroupInfo_Blkio_Value{Op: mesos.CgroupInfo_Blkio_Operation(op).Enum(), Value: &entry.Value})
		}
	}
	add(s.IoServicedRecursive, func(t *mesos.CgroupInfo_Blkio_Throttling_Statistics) *[]*mesos.CgroupInfo_Blkio_Value {
		return &t.IoServiced
	})
	add(s.IoServiceBytesRecursive, func(t *mesos.CgroupInfo_Blkio_Throttling_Statistics) *[]*mesos.CgroupInfo_Blkio_Value {
		return &t.IoServiceBytes
	})
	if len(all) == 0 {
		return nil
	}
	return &mesos.CgroupInfo_Blkio_Statistics{Throttling: all}
}
