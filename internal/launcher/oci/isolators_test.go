package oci

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/launcher"
)

func linux(info *mesos.LinuxInfo) *mesos.ContainerInfo { return &mesos.ContainerInfo{LinuxInfo: info} }

func caps(names ...mesos.CapabilityInfo_Capability) *mesos.CapabilityInfo {
	return &mesos.CapabilityInfo{Capabilities: names}
}

func build(t *testing.T, o *Options, c *launcher.Spec) *specs.Spec {
	t.Helper()
	s, err := Build(c, "/bundle", o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// all are machines of each version of control groups that have everything.
func all() map[string]Machine {
	v1, v2 := Machine{Mount: "/cg", Controllers: map[string]string{}, Capabilities: math.MaxUint64, Memory: 1 << 30}, Machine{Unified: true, Mount: "/cg", Controllers: map[string]string{}, Capabilities: math.MaxUint64, Memory: 1 << 30}
	for _, i := range isolators {
		v1.Controllers[i.v1], v2.Controllers[i.v2] = "/cg/"+i.v1, "/cg"
	}
	return map[string]Machine{"v1": v1, "v2": v2}
}

func TestCPU(t *testing.T) {
	inf := math.Inf(1)
	for _, test := range []struct {
		given         launcher.Resources
		cfs           bool
		shares, quota int64
	}{
		{launcher.Resources{CPUs: 1}, false, 1024, 0},
		{launcher.Resources{CPUs: 0.5}, true, 512, 50_000},
		{launcher.Resources{CPUs: 0.001}, true, 2, 1000},
		{launcher.Resources{CPUs: 1, CPULimit: 2.5}, false, 1024, 250_000},
		{launcher.Resources{CPUs: 1, CPULimit: inf}, true, 1024, 0},
		{launcher.Resources{CPUs: 0.2, CPULimit: 4 + 0.1}, false, 204, 410_000}, // of a command task, with its executor's
	} {
		got := cpuOf(test.given, test.cfs)
		var quota int64
		if got.Quota != nil {
			quota = *got.Quota
		}
		if int64(*got.Shares) != test.shares || quota != test.quota {
			t.Errorf("%+v, cfs %t: %d shares, quota %d; want %d, %d", test.given, test.cfs, *got.Shares, quota, test.shares, test.quota)
		}
	}
}

func TestMemory(t *testing.T) {
	for _, test := range []struct {
		given      launcher.Resources
		soft, hard int64
	}{
		{launcher.Resources{Mem: 64}, 64 << 20, 64 << 20},
		{launcher.Resources{Mem: 1}, 32 << 20, 32 << 20},
		{launcher.Resources{Mem: 64, MemLimit: 128}, 64 << 20, 128 << 20},
		{launcher.Resources{Mem: 64, MemLimit: math.Inf(1)}, 64 << 20, -1},
	} {
		got := memoryOf(test.given, true)
		if *got.Reservation != test.soft || *got.Limit != test.hard || *got.Swap != test.hard {
			t.Errorf("%+v: soft %d, hard %d, swap %d; want %d, %d", test.given, *got.Reservation, *got.Limit, *got.Swap, test.soft, test.hard)
		}
	}
}

func TestWhoMayBurstGoesFirst(t *testing.T) {
	o := &Options{Machine: all()["v1"], Isolation: []string{"cgroups/mem"}}
	if s := build(t, o, &launcher.Spec{Resources: launcher.Resources{Mem: 256}}); s.Process.OOMScoreAdj != nil {
		t.Errorf("a container that may not has score %d", *s.Process.OOMScoreAdj)
	}
	s := build(t, o, &launcher.Spec{Resources: launcher.Resources{Mem: 256, MemLimit: 512}})
	if got := *s.Process.OOMScoreAdj; got != 750 {
		t.Errorf("a container with a quarter of the memory has score %d, want 750", got)
	}
}

// Every isolator makes something that a runtime can read, whatever the version of
// control groups.
func TestAllIsolatorsTogether(t *testing.T) {
	for version, machine := range all() {
		o := &Options{Machine: machine, Isolation: isolatorNames(), CgroupRoot: "mesos", PidsMax: 10, UserIDs: UserIDs{1 << 20, 1 << 16}}
		s := build(t, o, &launcher.Spec{ID: "c1", Path: "sh", Args: []string{"sh"}, Dir: "/box", Resources: launcher.Resources{CPUs: 1, Mem: 64}})
		if _, pids := namespace(s, specs.PIDNamespace); s.Linux.CgroupsPath != "/mesos/c1" || !pids || *s.Linux.Resources.Pids.Limit != 10 {
			t.Errorf("%s: %+v", version, s.Linux)
		}
		private := slices.ContainsFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.CgroupNamespace })
		if private != machine.Unified {
			t.Errorf("%s: a cgroup namespace: %t", version, private)
		}
		if _, err := json.Marshal(s); err != nil {
			t.Errorf("%s: %v", version, err)
		}
	}
}

func TestIsolators(t *testing.T) {
	machine := all()["v1"]
	delete(machine.Controllers, "hugetlb")
	for text, want := range map[string]string{
		"cgroups/cpu,cgroups/mem": "cgroups/cpu cgroups/mem",
		"process":                 "posix/cpu posix/mem",
		"cgroups":                 "cgroups/cpu cgroups/mem",
		"cgroups/all":             "cgroups/blkio cgroups/cpu cgroups/cpuset cgroups/devices cgroups/mem cgroups/net_cls cgroups/pids",
	} {
		if got, err := Isolators(text, machine); err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	if got, err := Isolators("filesystem/linux,docker/runtime,appc/runtime", machine); err != nil || len(got) != 3 {
		t.Errorf("what runs images: %q, %v", got, err)
	}
	for text, want := range map[string]string{
		"gpu/nvidia":      "is not built here: leave it out, and give containers the device files",
		"cgroups/cpux":    "cgroups/blkio, cgroups/cpu,",
		"cgroups/hugetlb": "needs the cgroup controller hugetlb",
	} {
		if _, err := Isolators(text, machine); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestIsolatorsOfMesosThatThereAreNot(t *testing.T) {
	if err := CheckNames("process,cgroups, cgroups/all,docker/runtime,environment_secret"); err != nil {
		t.Error(err)
	}
	for name := range foreign {
		if _, built := isolators[name]; built {
			t.Errorf("%s is built, and said not to be", name)
		}
		if err := CheckNames("cgroups/cpu, " + name); err == nil || !strings.Contains(err.Error(), foreign[name]) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := CheckNames("x"); err == nil || !strings.Contains(err.Error(), "there are appc/runtime, cgroups/blkio") {
		t.Error(err)
	}
}

func TestCapabilities(t *testing.T) {
	raw := caps(mesos.CapabilityInfo_NET_RAW)
	for name, test := range map[string]struct {
		flags            Options
		user             *launcher.User
		info             *mesos.LinuxInfo
		effective, bound string
	}{
		"nothing said":         {effective: strings.Join(modest, " "), bound: strings.Join(modest, " ")},
		"nobody":               {user: &launcher.User{UID: 1}, bound: strings.Join(modest, " ")},
		"asked":                {info: &mesos.LinuxInfo{EffectiveCapabilities: raw}, effective: "CAP_NET_RAW", bound: "CAP_NET_RAW"},
		"asked by nobody":      {user: &launcher.User{UID: 1}, info: &mesos.LinuxInfo{EffectiveCapabilities: raw}, effective: "CAP_NET_RAW", bound: "CAP_NET_RAW"},
		"by the older name":    {info: &mesos.LinuxInfo{CapabilityInfo: raw}, effective: "CAP_NET_RAW", bound: "CAP_NET_RAW"},
		"the operator's":       {flags: Options{Effective: []string{"CAP_KILL"}}, effective: "CAP_KILL", bound: "CAP_KILL"},
		"the operator's bound": {flags: Options{Bounding: []string{"CAP_KILL", "CAP_CHOWN"}}, effective: "CAP_KILL CAP_CHOWN", bound: "CAP_KILL CAP_CHOWN"},
	} {
		o := test.flags
		o.Machine, o.Isolation = all()["v1"], []string{"linux/capabilities"}
		got := build(t, &o, &launcher.Spec{User: test.user, Container: linux(test.info)}).Process.Capabilities
		if e, b := strings.Join(got.Effective, " "), strings.Join(got.Bounding, " "); e != test.effective || b != test.bound {
			t.Errorf("%s: effective %q, bounding %q", name, e, b)
		}
	}
}

func TestRefusedContainers(t *testing.T) {
	one := uint64(1)
	for name, test := range map[string]struct {
		isolator string
		info     *mesos.ContainerInfo
		want     string
	}{
		"more than allowed":  {"linux/capabilities", linux(&mesos.LinuxInfo{EffectiveCapabilities: caps(mesos.CapabilityInfo_SYS_ADMIN)}), "CAP_SYS_ADMIN is beyond"},
		"effective, unbound": {"linux/capabilities", linux(&mesos.LinuxInfo{EffectiveCapabilities: caps(mesos.CapabilityInfo_KILL), BoundingCapabilities: caps(mesos.CapabilityInfo_CHOWN)}), "not among"},
		"half a limit":       {"posix/rlimits", &mesos.ContainerInfo{RlimitInfo: &mesos.RLimitInfo{Rlimits: []*mesos.RLimitInfo_RLimit{{Type: mesos.RLimitInfo_RLimit_RLMT_CORE.Enum(), Hard: &one}}}}, "give both"},
		"no limit":           {"posix/rlimits", &mesos.ContainerInfo{RlimitInfo: &mesos.RLimitInfo{Rlimits: []*mesos.RLimitInfo_RLimit{{}}}}, "unknown resource limit"},
		"shared shm's size":  {"namespaces/ipc", linux(&mesos.LinuxInfo{IpcMode: mesos.LinuxInfo_SHARE_PARENT.Enum(), ShmSize: new(uint32(1))}), "when the IPC mode is `PRIVATE`"},
		"no mode with size":  {"namespaces/ipc", linux(&mesos.LinuxInfo{ShmSize: new(uint32(1))}), "when the IPC mode is `PRIVATE`"},
		"unknown IPC mode":   {"namespaces/ipc", linux(&mesos.LinuxInfo{IpcMode: mesos.LinuxInfo_UNKNOWN.Enum()}), "Unknown IPC mode"},
		"the machine's IPC":  {"namespaces/ipc", linux(&mesos.LinuxInfo{IpcMode: mesos.LinuxInfo_SHARE_PARENT.Enum()}), "Sharing agent IPC namespace with top-level container is not allowed"},
		"the machine's pids": {"namespaces/pid", linux(&mesos.LinuxInfo{SharePidNamespace: new(true)}), "Sharing agent pid namespace with top-level container is not allowed"},
		"a path":             {"linux/seccomp", linux(&mesos.LinuxInfo{Seccomp: &mesos.SeccompInfo{ProfileName: new("../shadow")}}), "name a file"},
		"both":               {"linux/seccomp", linux(&mesos.LinuxInfo{Seccomp: &mesos.SeccompInfo{ProfileName: new("p"), Unconfined: new(true)}}), "exclude"},
	} {
		o := &Options{Machine: all()["v1"], Isolation: []string{test.isolator}, Bounding: []string{"CAP_KILL", "CAP_CHOWN"}, PrivatePIDs: true, PrivateIPC: true}
		if _, err := Build(&launcher.Spec{Container: test.info}, "/b", o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

const profileText = `{"defaultAction": "SCMP_ACT_ALLOW",
	"archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}, {"architecture": "SCMP_ARCH_AARCH64"}],
	"syscalls": [
		{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"},
		{"name": "bpf", "action": "SCMP_ACT_ERRNO", "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
		{"names": ["reboot"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_BOOT"]}},
		{"names": ["arm_sync"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}}]}`

func TestSeccompProfiles(t *testing.T) {
	for _, test := range []struct {
		arch, caps, want string
	}{
		{"amd64", "CAP_SYS_ADMIN CAP_SYS_BOOT", "mkdir reboot"}, {"amd64", "", "mkdir bpf"}, {"arm64", "", "mkdir bpf arm_sync"},
	} {
		got, err := ParseProfile([]byte(profileText), test.arch, strings.Fields(test.caps))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, s := range got.Syscalls {
			names = append(names, s.Names[0])
		}
		if strings.Join(names, " ") != test.want || len(got.Architectures) == 0 {
			t.Errorf("%s, %s: %q on %q, want %q", test.arch, test.caps, names, got.Architectures, test.want)
		}
	}
}

func FuzzParseProfile(f *testing.F) {
	f.Add([]byte(profileText))
	f.Add([]byte(`{"defaultAction":"SCMP_ACT_KILL","syscalls":[{}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		profile, err := ParseProfile(text, "amd64", nil)
		if (profile == nil) == (err == nil) {
			t.Errorf("profile %v, error %v", profile, err)
		}
	})
}

func FuzzParseFields(f *testing.F) {
	f.Add("cache 0\nrss 100\n")
	f.Fuzz(func(t *testing.T, text string) {
		for name := range parseFields(text) {
			if strings.Contains(name, " ") {
				t.Errorf("a name with a space: %q", name)
			}
		}
	})
}
