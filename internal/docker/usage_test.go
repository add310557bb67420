package docker

import (
	"encoding/json"
	"testing"

	"github.com/moby/moby/api/types/container"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/launcher"
)

// TestStatistics: of both versions of cgroups, whose names differ.
func TestStatistics(t *testing.T) {
	for name, test := range map[string]struct{ engine, want string }{
		"version 1": {
			`{"cpu_stats": {"cpu_usage": {"usage_in_usermode": 2000000000, "usage_in_kernelmode": 500000000}, "throttling_data": {"periods": 5, "throttled_periods": 2, "throttled_time": 250000000}},
			"memory_stats": {"usage": 100, "stats": {"rss": 60, "cache": 40, "mapped_file": 7, "swap": 3, "unevictable": 2}}, "pids_stats": {"current": 4},
			"networks": {"eth0": {"rx_bytes": 1, "rx_packets": 2, "rx_errors": 3, "rx_dropped": 4, "tx_bytes": 5, "tx_packets": 6, "tx_errors": 7, "tx_dropped": 8}, "eth1": {"rx_bytes": 10}},
			"blkio_stats": {"io_service_bytes_recursive": [{"major": 8, "minor": 0, "op": "Read", "value": 4096}, {"major": 8, "minor": 16, "op": "Total", "value": 1}],
				"io_serviced_recursive": [{"major": 8, "minor": 0, "op": "Read", "value": 2}, {"major": 8, "minor": 0, "op": "Unheard", "value": 2}]}}`,
			`{"timestamp": 1, "cpusUserTimeSecs": 2, "cpusSystemTimeSecs": 0.5, "cpusNrPeriods": 5, "cpusNrThrottled": 2, "cpusThrottledTimeSecs": 0.25, "threads": 4,
			"memTotalBytes": 100, "memRssBytes": 60, "memAnonBytes": 60, "memCacheBytes": 40, "memFileBytes": 40, "memMappedFileBytes": 7, "memSwapBytes": 3, "memUnevictableBytes": 2,
			"netRxBytes": 11, "netRxPackets": 2, "netRxErrors": 3, "netRxDropped": 4, "netTxBytes": 5, "netTxPackets": 6, "netTxErrors": 7, "netTxDropped": 8,
			"blkioStatistics": {"throttling": [
				{"device": {"majorNumber": 8, "minorNumber": 0}, "ioServiced": [{"op": "READ", "value": 2}], "ioServiceBytes": [{"op": "READ", "value": 4096}]},
				{"device": {"majorNumber": 8, "minorNumber": 16}, "ioServiceBytes": [{"op": "TOTAL", "value": 1}]}]}}`,
		},
		"version 2": {
			`{"memory_stats": {"usage": 100, "stats": {"anon": 60, "file": 40, "file_mapped": 7}}, "pids_stats": {"current": 1}, "blkio_stats": {"io_service_bytes_recursive": [{"major": 8, "minor": 0, "op": "write", "value": 5}]}}`,
			`{"timestamp": 1, "cpusUserTimeSecs": 0, "cpusSystemTimeSecs": 0, "cpusNrPeriods": 0, "cpusNrThrottled": 0, "cpusThrottledTimeSecs": 0, "threads": 1,
			"memTotalBytes": 100, "memRssBytes": 60, "memAnonBytes": 60, "memCacheBytes": 40, "memFileBytes": 40, "memMappedFileBytes": 7,
			"blkioStatistics": {"throttling": [{"device": {"majorNumber": 8, "minorNumber": 0}, "ioServiceBytes": [{"op": "WRITE", "value": 5}]}]}}`,
		},
	} {
		var in container.StatsResponse
		if err := json.Unmarshal([]byte(test.engine), &in); err != nil {
			t.Fatal(err)
		}
		got, want := statistics(&in, true), &mesos.ResourceStatistics{}
		got.Timestamp = new(1.0)
		if err := protojson.Unmarshal([]byte(test.want), want); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestOOMScoreAdj(t *testing.T) {
	for _, test := range []struct {
		may   launcher.Resources
		total uint64
		want  int
	}{
		{launcher.Resources{Mem: 256}, 1 << 30, 0},
		{launcher.Resources{Mem: 256, MemLimit: 256}, 1 << 30, 0},
		{launcher.Resources{Mem: 256, MemLimit: 512}, 1 << 30, 750},
		{launcher.Resources{Mem: 2048, MemLimit: 4096}, 1 << 30, 0},
		{launcher.Resources{MemLimit: 512}, 1 << 30, 0},
		{launcher.Resources{Mem: 256, MemLimit: 512}, 0, 0},
	} {
		if got := oomScoreAdj(test.may, test.total); got != test.want {
			t.Errorf("%+v of %d: %d, want %d", test.may, test.total, got, test.want)
		}
	}
}
