package httpd

import "github.com/meseta-project/meseta/resources"

// ResourceMetrics adds the metrics of how much there is of cpus, gpus, mem and
// disk and how much of it is used, as Mesos names them: PREFIXcpus_QUALtotal,
// …used and …percent, which is a part of 1.
func ResourceMetrics(to map[string]float64, prefix, qualifier string, total, used resources.Quantities) {
	for _, kind := range []string{"cpus", "gpus", "mem", "disk"} {
		name := prefix + kind + "_" + qualifier
		all, part := total.Get(kind).Float64(), used.Get(kind).Float64()
		to[name+"total"], to[name+"used"], to[name+"percent"] = all, part, 0
		if all > 0 {
			to[name+"percent"] = part / all
		}
	}
}
