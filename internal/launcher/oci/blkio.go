package oci

import (
	"strconv"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

type (
	throttling = mesos.CgroupInfo_Blkio_Throttling_Statistics
	ioValue    = mesos.CgroupInfo_Blkio_Value
)

// blkio returns what a container has read and written, by device and, where the
// kernel sums it up, in all.
func (g cgroups) blkio(id string) *mesos.CgroupInfo_Blkio_Statistics {
	if g.machine.Unified {
		return parseIOStat(g.text("io", id, "io.stat"))
	}
	return parseThrottling(g.text("blkio", id, "blkio.throttle.io_serviced"), g.text("blkio", id, "blkio.throttle.io_service_bytes"))
}

// parseThrottling takes the files of version 1, with lines "8:0 Read 12" and, at the
// end, "Total 12".
func parseThrottling(serviced, bytes string) *mesos.CgroupInfo_Blkio_Statistics {
	total, devices := &throttling{}, &ioDevices{}
	each := func(text string, add func(to *throttling, v *ioValue)) {
		for line := range strings.Lines(text) {
			fields := strings.Fields(line)
			if len(fields) < 2 {
				continue
			}
			n, err := strconv.ParseUint(fields[len(fields)-1], 10, 64)
			if err != nil {
				continue
			}
			value := &ioValue{Op: operation(fields[len(fields)-2]).Enum(), Value: &n}
			if len(fields) == 2 {
				add(total, value)
			} else if to := devices.at(fields[0]); to != nil {
				add(to, value)
			}
		}
	}
	each(serviced, func(to *throttling, v *ioValue) { to.IoServiced = append(to.IoServiced, v) })
	each(bytes, func(to *throttling, v *ioValue) { to.IoServiceBytes = append(to.IoServiceBytes, v) })
	return &mesos.CgroupInfo_Blkio_Statistics{Throttling: append(devices.all, total)}
}

// parseIOStat takes the file of version 2, with lines "8:0 rbytes=1 rios=2 …".
func parseIOStat(text string) *mesos.CgroupInfo_Blkio_Statistics {
	devices := &ioDevices{}
	for line := range strings.Lines(text) {
		name, counters, _ := strings.Cut(strings.TrimSpace(line), " ")
		to := devices.at(name)
		if to == nil {
			continue
		}
		for field := range strings.FieldsSeq(counters) {
			key, number, _ := strings.Cut(field, "=")
			n, err := strconv.ParseUint(number, 10, 64)
			if err != nil || len(key) < 2 {
				continue
			}
			value := &ioValue{Op: operation(map[byte]string{'r': "Read", 'w': "Write", 'd': "Discard"}[key[0]]).Enum(), Value: &n}
			switch key[1:] {
			case "ios":
				to.IoServiced = append(to.IoServiced, value)
			case "bytes":
				to.IoServiceBytes = append(to.IoServiceBytes, value)
			}
		}
	}
	return &mesos.CgroupInfo_Blkio_Statistics{Throttling: devices.all}
}

// ioDevicesMax bounds the devices of one container.
const ioDevicesMax = 1024

// ioDevices are the devices of a container, in the order in which they came.
type ioDevices struct{ all []*throttling }

// at returns those of "8:0", nil if that is no device.
func (d *ioDevices) at(name string) *throttling {
	a, b, ok := strings.Cut(name, ":")
	major, err := strconv.ParseUint(a, 10, 32)
	minor, err2 := strconv.ParseUint(b, 10, 32)
	if !ok || err != nil || err2 != nil || len(d.all) == ioDevicesMax {
		return nil
	}
	for _, known := range d.all {
		if known.Device.GetMajorNumber() == major && known.Device.GetMinorNumber() == minor {
			return known
		}
	}
	fresh := &throttling{Device: &mesos.Device_Number{MajorNumber: &major, MinorNumber: &minor}}
	d.all = append(d.all, fresh)
	return fresh
}

func operation(name string) mesos.CgroupInfo_Blkio_Operation {
	return mesos.CgroupInfo_Blkio_Operation(mesos.CgroupInfo_Blkio_Operation_value[strings.ToUpper(name)]) // UNKNOWN is 0
}
