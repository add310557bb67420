package docker

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

func parametersOf(pairs ...string) []*mesos.Parameter {
	var out []*mesos.Parameter
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, &mesos.Parameter{Key: &pairs[i], Value: &pairs[i+1]})
	}
	return out
}

func specOf(change func(*mesos.ContainerInfo, *Spec)) *Spec {
	s := &Spec{
		ID: "c", Command: shell("true"), Sandbox: "/work/box", Env: []string{"A=b"},
		Resources: []*mesos.Resource{scalar("cpus", 1.5), scalar("mem", 128), ports(31000, 31005)},
		Container: &mesos.ContainerInfo{Docker: &mesos.ContainerInfo_DockerInfo{Image: new("x")}},
	}
	if change != nil {
		change(s.Container, s)
	}
	return s
}

func ports(from, to uint64) *mesos.Resource {
	return &mesos.Resource{Name: new("ports"), Type: mesos.Value_RANGES.Enum(), Ranges: &mesos.Value_Ranges{Range: []*mesos.Value_Range{{Begin: &from, End: &to}}}}
}

func bridged(mappings ...*mesos.ContainerInfo_DockerInfo_PortMapping) func(*mesos.ContainerInfo, *Spec) {
	return func(c *mesos.ContainerInfo, _ *Spec) {
		c.Docker.Network, c.Docker.PortMappings = mesos.ContainerInfo_DockerInfo_BRIDGE.Enum(), mappings
	}
}

func volume(host, inside string, mode mesos.Volume_Mode) *mesos.Volume {
	v := &mesos.Volume{ContainerPath: &inside, Mode: mode.Enum()}
	if host != "" {
		v.HostPath = &host
	}
	return v
}

func driver(name, of string) *mesos.Volume {
	return &mesos.Volume{ContainerPath: new("/" + name), Mode: mesos.Volume_RW.Enum(), Source: &mesos.Volume_Source{
		Type: mesos.Volume_Source_DOCKER_VOLUME.Enum(), DockerVolume: &mesos.Volume_Source_DockerVolume{Name: &name, Driver: &of},
	}}
}

// What the Engine is asked for, as JSON, or why it is not.
func TestOptions(t *testing.T) {
	limit := func(v float64) *mesos.Value_Scalar { return &mesos.Value_Scalar{Value: &v} }
	for name, test := range map[string]struct {
		change func(*mesos.ContainerInfo, *Spec)
		want   []string // parts of the request, or of the error behind a "!"
	}{
		"plain": {nil, []string{
			`"CpuShares":1536`, `"Memory":134217728`, `"CpuQuota":0`, `"NetworkMode":"host"`, `"Binds":["/work/box:/mnt/mesos/sandbox"]`,
			`"Entrypoint":["/bin/sh"]`, `"Cmd":["-c","true"]`, `"Env":["A=b","MESOS_SANDBOX=/mnt/mesos/sandbox","MESOS_CONTAINER_NAME=mesos-c"]`,
		}},
		"limits": {func(_ *mesos.ContainerInfo, s *Spec) {
			s.Limits = map[string]*mesos.Value_Scalar{"cpus": limit(2), "mem": limit(256)}
		}, []string{`"CpuQuota":200000`, `"CpuPeriod":100000`, `"Memory":268435456`, `"MemoryReservation":134217728`}},
		"limit of a task and its executor": {func(_ *mesos.ContainerInfo, s *Spec) {
			s.Limits = map[string]*mesos.Value_Scalar{"cpus": limit(4 + 0.1)}
		}, []string{`"CpuQuota":410000`}},
		"no limit": {func(_ *mesos.ContainerInfo, s *Spec) {
			s.Limits = map[string]*mesos.Value_Scalar{"cpus": limit(math.Inf(1)), "mem": limit(math.Inf(1))}
		}, []string{`"CpuQuota":0`, `"Memory":0`, `"MemoryReservation":134217728`}},
		"little": {func(_ *mesos.ContainerInfo, s *Spec) {
			s.Resources = []*mesos.Resource{scalar("cpus", 0.001), scalar("mem", 1)}
		}, []string{`"CpuShares":2`, `"Memory":33554432`}},
		"ports": {
			bridged(&mesos.ContainerInfo_DockerInfo_PortMapping{HostPort: new(uint32(31001)), ContainerPort: new(uint32(80)), Protocol: new("UDP")}),
			[]string{`"NetworkMode":"bridge"`, `"PortBindings":{"80/udp":[{"HostIp":"","HostPort":"31001"}]}`, `"ExposedPorts":{"80/udp":{}}`},
		},
		"port of others": {
			bridged(&mesos.ContainerInfo_DockerInfo_PortMapping{HostPort: new(uint32(80)), ContainerPort: new(uint32(80))}),
			[]string{"!Port [80] not included in resources"},
		},
		"ports without network": {func(c *mesos.ContainerInfo, _ *Spec) {
			c.Docker.PortMappings = []*mesos.ContainerInfo_DockerInfo_PortMapping{{HostPort: new(uint32(31001)), ContainerPort: new(uint32(80))}}
		}, []string{"!Port mappings are only supported for bridge and user-defined networks"}},
		"user network": {func(c *mesos.ContainerInfo, _ *Spec) {
			c.Docker.Network, c.NetworkInfos, c.Hostname = mesos.ContainerInfo_DockerInfo_USER.Enum(), []*mesos.NetworkInfo{{Name: new("mine")}}, new("me")
		}, []string{`"NetworkMode":"mine"`, `"Hostname":"me"`}},
		"no user network": {func(c *mesos.ContainerInfo, _ *Spec) {
			c.Docker.Network = mesos.ContainerInfo_DockerInfo_USER.Enum()
		}, []string{"!No network info found in container info"}},
		"hostname":  {func(c *mesos.ContainerInfo, _ *Spec) { c.Hostname = new("me") }, []string{"!Unable to set hostname with host network mode"}},
		"no docker": {func(c *mesos.ContainerInfo, _ *Spec) { c.Docker = nil }, []string{"!No docker info found in container info"}},
		"volumes": {func(c *mesos.ContainerInfo, _ *Spec) {
			c.Volumes = []*mesos.Volume{
				volume("/host", "/in", mesos.Volume_RO), volume("/host", "in", mesos.Volume_RW), volume("sub", "/in2", mesos.Volume_RW), driver("v", "d"),
			}
		}, []string{`"Binds":["/host:/in:ro","/host:/mnt/mesos/sandbox/in:rw","/work/box/sub:/in2:rw","v:/v:rw","/work/box:/mnt/mesos/sandbox"]`, `"VolumeDriver":"d"`}},
		"persistent volume": {func(_ *mesos.ContainerInfo, s *Spec) {
			s.Mounts = []Mount{{"/work/volumes/v", "data", false}, {"/work/volumes/w", "more", true}}
		}, []string{`"Binds":["/work/box:/mnt/mesos/sandbox","/work/volumes/v:/mnt/mesos/sandbox/data","/work/volumes/w:/mnt/mesos/sandbox/more:ro"]`}},
		"volume elsewhere": {func(_ *mesos.ContainerInfo, s *Spec) {
			s.Mounts = []Mount{{"/work/volumes/v", "/etc", false}}
		}, []string{"!is not below the sandbox"}},
		"both relative": {func(c *mesos.ContainerInfo, _ *Spec) {
			c.Volumes = []*mesos.Volume{volume("a", "b", mesos.Volume_RW)}
		}, []string{"!are relative"}},
		"out of the sandbox": {func(c *mesos.ContainerInfo, _ *Spec) {
			c.Volumes = []*mesos.Volume{volume("../../etc", "/etc", mesos.Volume_RW)}
		}, []string{"!leads out of the sandbox"}},
		"colon": {func(c *mesos.ContainerInfo, _ *Spec) {
			c.Volumes = []*mesos.Volume{volume("/a:/etc", "/b", mesos.Volume_RO)}
		}, []string{"!no path with a colon"}},
		"no source": {func(c *mesos.ContainerInfo, _ *Spec) {
			c.Volumes = []*mesos.Volume{volume("", "/b", mesos.Volume_RO)}
		}, []string{"!Host path or volume source is required"}},
		"two drivers": {func(c *mesos.ContainerInfo, _ *Spec) {
			c.Volumes = []*mesos.Volume{driver("v", "d"), driver("w", "e")}
		}, []string{"!Only one volume driver is supported"}},
		"no command": {func(_ *mesos.ContainerInfo, s *Spec) { s.Command = &mesos.CommandInfo{} }, []string{"!no command value provided"}},
		"parameters": {func(c *mesos.ContainerInfo, _ *Spec) {
			c.Docker.Privileged = new(true)
			c.Docker.Parameters = parametersOf("net", "none", "env", "B=c", "label", "l=m=n", "ulimit", "nofile=10:20", "memory-swap", "1g", "shm-size", "64",
				"device", "/dev/null:/dev/x:r", "dns", "10.0.0.1", "publish", "127.0.0.1:31002:81/udp", "read-only", "true", "tmpfs", "/t:size=1m", "cpus", "1.5",
				"pids-limit", "10", "cap-drop", "ALL", "user", "7")
		}, []string{
			`"Privileged":true`, `"NetworkMode":"none"`, `"B=c"`, `"Labels":{"l":"m=n"}`, `{"Name":"nofile","Hard":20,"Soft":10}`, `"MemorySwap":1073741824`,
			`"ShmSize":64`, `{"PathOnHost":"/dev/null","PathInContainer":"/dev/x","CgroupPermissions":"r"}`, `"Dns":["10.0.0.1"]`, `"HostIp":"127.0.0.1","HostPort":"31002"`,
			`"ReadonlyRootfs":true`, `"Tmpfs":{"/t":"size=1m"}`, `"NanoCpus":1500000000`, `"PidsLimit":10`, `"CapDrop":["ALL"]`, `"User":"7"`,
		}},
		"unknown parameter": {func(c *mesos.ContainerInfo, _ *Spec) {
			c.Docker.Parameters = parametersOf("rm", "true")
		}, []string{"!the Docker parameter 'rm' is not supported"}},
		"bad parameter": {func(c *mesos.ContainerInfo, _ *Spec) {
			c.Docker.Parameters = parametersOf("memory", "much")
		}, []string{"!the Docker parameter 'memory' is 'much'"}},
	} {
		e := &Engine{cfg: Config{Mapped: "/mnt/mesos/sandbox"}}
		got := "!"
		options, err := e.options(specOf(test.change))
		if err == nil {
			got = requestText(t, options)
		} else {
			got += err.Error()
		}
		for _, want := range test.want {
			if bad := strings.HasPrefix(want, "!"); bad != (err != nil) || !strings.Contains(got, strings.TrimPrefix(want, "!")) {
				t.Errorf("%s: %s is not in %s", name, want, got)
			}
		}
	}
}

func requestText(t *testing.T, options *client.ContainerCreateOptions) string {
	t.Helper()
	text, err := json.Marshal(struct{ Config, Host any }{options.Config, options.HostConfig})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func FuzzParameters(f *testing.F) {
	for key := range parameters {
		f.Add(key, "1:2:3")
		f.Add(key, "a=b")
		f.Add(key, "")
		f.Add(key, "\xb6") // grows when its case is changed
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		e := &Engine{}
		_, _ = e.options(specOf(func(c *mesos.ContainerInfo, _ *Spec) { c.Docker.Parameters = parametersOf(key, value) }))
	})
}
