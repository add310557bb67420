package cni

import (
	"os"
	"strconv"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
)

// Statistics returns what has gone over the interfaces of a container; nil if it
// has none of its own.
func (n *Networks) Statistics(id ids.ContainerID) *mesos.ResourceStatistics {
	n.mu.Lock()
	at := n.attached[id]
	n.mu.Unlock()
	if at == nil {
		return nil
	}
	var table []byte
	err := within(at.Namespace, func() (err error) {
		table, err = os.ReadFile("/proc/thread-self/net/dev")
		return err
	})
	if err != nil {
		return nil // it is going
	}
	return parseDevices(string(table))
}

// deviceFields is how many counters a line of /proc/net/dev has.
const deviceFields = 16

// parseDevices sums the interfaces of networks in the text of /proc/net/dev.
func parseDevices(table string) *mesos.ResourceStatistics {
	var sum [deviceFields]uint64
	for line := range strings.Lines(table) {
		name, counters, _ := strings.Cut(line, ":")
		fields := strings.Fields(counters)
		if !strings.HasPrefix(strings.TrimSpace(name), "eth") || len(fields) < deviceFields {
			continue
		}
		for i := range sum {
			n, _ := strconv.ParseUint(fields[i], 10, 64) // the kernel writes numbers
			sum[i] += n
		}
	}
	return &mesos.ResourceStatistics{
		NetRxBytes: &sum[0], NetRxPackets: &sum[1], NetRxErrors: &sum[2], NetRxDropped: &sum[3],
		NetTxBytes: &sum[8], NetTxPackets: &sum[9], NetTxErrors: &sum[10], NetTxDropped: &sum[11],
	}
}
