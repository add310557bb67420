package oci

import (
	"fmt"
	"strings"
)

// foreign are isolators of Mesos that there are none of, and what to do instead.
var foreign = map[string]string{
	"cgroups/net_prio":     "give each container's packets a class with cgroups/net_cls, and the class a priority with tc",
	"cgroups/perf_event":   "leave it out, and count what happens in a container's groups with perf stat --for-each-cgroup",
	"filesystem/shared":    "use filesystem/linux, and volumes of type SANDBOX_PATH",
	"filesystem/windows":   "leave it out: it is for Windows",
	"gpu/nvidia":           "leave it out, and give containers the device files with linux/devices and --allowed_devices, the libraries with a volume",
	"network/port_mapping": "use network/cni with the CNI plugin portmap",
	"volume/csi":           "mount such volumes on the machine for volumes of type HOST_PATH",
	"windows/cpu":          "use cgroups/cpu: it is for Windows",
	"windows/mem":          "use cgroups/mem: it is for Windows",
}

// CheckNames refuses a value of --isolation with a name that is no isolator of this
// launcher's, whatever the machine has.
func CheckNames(text string) error {
	for name := range strings.SplitSeq(text, ",") {
		switch name = strings.TrimSpace(name); name {
		case "", "process", "cgroups", "cgroups/all":
		default:
			if _, ok := isolators[name]; !ok {
				return unknown(name)
			}
		}
	}
	return nil
}

func unknown(name string) error {
	if instead, ok := foreign[name]; ok {
		return fmt.Errorf("isolator %s of Apache Mesos is not built here: %s", name, instead)
	}
	return fmt.Errorf("unknown isolator %q; there are %s, and cgroups/all for all of cgroups", name, strings.Join(isolatorNames(), ", "))
}
