package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	registryname "github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/moby/moby/client"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/test/cluster"
)

// TestPrivileged: who is privileged sees the machine's devices and may mount; others
// do not, but for what parameters give them. The Engine starts it with all rights that
// the kernel knows, which on a machine within another it may not have itself.
func TestPrivileged(t *testing.T) {
	e := open(t, nil)
	const script = "ls /dev/kmsg; mount -t tmpfs none /tmp && echo mounted"
	for name, test := range map[string]struct {
		change func(*mesos.ContainerInfo_DockerInfo)
		want   string
	}{
		"not":        {func(*mesos.ContainerInfo_DockerInfo) {}, ""},
		"privileged": {func(d *mesos.ContainerInfo_DockerInfo) { d.Privileged = new(true) }, "/dev/kmsg\nmounted\n"},
		"device":     {func(d *mesos.ContainerInfo_DockerInfo) { d.Parameters = parametersOf("device", "/dev/kmsg") }, "/dev/kmsg\n"},
	} {
		b := e.box(t, "privileged-"+name, shell(script), func(s *Spec) { test.change(s.Container.Docker) })
		if name == "privileged" && !allRights(t) {
			if p, err := e.Launch(b.spec); err == nil || !strings.Contains(err.Error(), "caps") {
				t.Errorf("it is started without all rights: %v, %v", p, err)
			}
			continue
		}
		if _, out, errs := b.ends(t, b.launch(t)); out != test.want {
			t.Errorf("%s: %q, %q, want %q", name, out, errs, test.want)
		}
	}
}

// allRights says whether we, and with us the Engine, may have all rights there are.
func allRights(t *testing.T) bool {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, bound, _ := strings.Cut(string(status), "CapBnd:")
	has, err := strconv.ParseUint(strings.Fields(bound)[0], 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	last, err := os.ReadFile("/proc/sys/kernel/cap_last_cap")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(last)))
	if err != nil {
		t.Fatal(err)
	}
	return has == 1<<(n+1)-1
}

// TestParameters: a container is as the options of docker run say.
func TestParameters(t *testing.T) {
	e := open(t, nil)
	for name, test := range map[string]struct {
		parameters   []*mesos.Parameter
		script, want string
	}{
		"user":      {parametersOf("user", "7:8", "group-add", "9"), "id -u; id -g; id -G", "7\n8\n8 9\n"},
		"workdir":   {parametersOf("workdir", "/tmp", "env", "B=c"), "pwd; echo $B", "/tmp\nc\n"},
		"read-only": {parametersOf("read-only", "true", "tmpfs", "/tmp:size=1m"), "echo >/file || echo no; echo >/tmp/file && echo yes", "no\nyes\n"},
		"ulimit":    {parametersOf("ulimit", "nofile=1000:2000"), "ulimit -n; ulimit -H -n", "1000\n2000\n"},
		"sysctl":    {parametersOf("sysctl", "net.ipv4.ip_default_ttl=77", "network", "none"), "cat /proc/sys/net/ipv4/ip_default_ttl", "77\n"},
		"hosts":     {parametersOf("add-host", "other:10.0.0.9", "network", "none", "hostname", "me"), "while read a b; do [ \"$b\" = other ] && echo $a; done </etc/hosts; hostname", "10.0.0.9\nme\n"},
		"init":      {parametersOf("entrypoint", "/bin/cat"), "/etc/hostname", ""},
		"oom":       {parametersOf("oom-score-adj", "321"), "cat /proc/self/oom_score_adj", "321\n"},
	} {
		b := e.box(t, "parameters-"+name, shell(test.script), func(s *Spec) { s.Container.Docker.Parameters = test.parameters })
		if status, out, errs := b.ends(t, b.launch(t)); out != test.want {
			t.Errorf("%s: status %d, %q, %q, want %q", name, status, out, errs, test.want)
		}
	}
}

// TestBurst: a container that may use more memory than it was given is the first to
// be killed when the machine has no more.
func TestBurst(t *testing.T) {
	e := open(t, nil)
	for limit, want := range map[float64]string{64: "0\n", 128: fmt.Sprintf("%d\n", 1000-int(1000*(64<<20)/totalMemory())), math.Inf(1): fmt.Sprintf("%d\n", 1000-int(1000*(64<<20)/totalMemory()))} {
		b := e.box(t, fmt.Sprint("burst-", int64(min(limit, 1000))), shell("cat /proc/self/oom_score_adj"), func(s *Spec) {
			s.Limits = map[string]*mesos.Value_Scalar{"mem": {Value: &limit}}
		})
		if _, out, errs := b.ends(t, b.launch(t)); out != want {
			t.Errorf("limit %v: %q, %q, want %q", limit, out, errs, want)
		}
	}
}

// TestForcePull: an image that is there is used, though the registry has a newer one
// by then, unless the container wants that.
func TestForcePull(t *testing.T) {
	e := open(t, nil)
	l := listen(t, "127.0.0.1:0")
	server := &http.Server{Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	image := l.Addr().String() + "/box:latest"
	for _, test := range []struct {
		push  string
		force bool
		want  string
	}{{"one", false, "one\n"}, {"two", false, "one\n"}, {"two", true, "two\n"}} {
		push(t, image, test.push)
		b := e.box(t, "pull-"+test.push+strconv.FormatBool(test.force), &mesos.CommandInfo{Shell: new(false)}, func(s *Spec) {
			s.Container.Docker.Image, s.Container.Docker.ForcePullImage = &image, &test.force
		})
		if err := e.Pull(t.Context(), b.spec.Container, io.Discard); err != nil {
			t.Fatal(err)
		}
		if _, out, errs := b.ends(t, b.launch(t)); out != test.want {
			t.Errorf("%+v: %q, %q", test, out, errs)
		}
	}
}

// push puts an image that says a word into a registry in the Engine's network.
func push(t *testing.T, image, word string) {
	t.Helper()
	ref, err := registryname.ParseReference(image)
	if err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		root, err := cluster.Busybox()
		return io.NopCloser(bytes.NewReader(root)), err
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := mutate.AppendLayers(empty.Image, layer)
	if err == nil {
		out, err = mutate.ConfigFile(out, configOf(t, out, word))
	}
	if err == nil {
		err = remote.Write(ref, out, remote.WithContext(t.Context()), remote.WithTransport(inside()))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func configOf(t *testing.T, image v1.Image, word string) *v1.ConfigFile {
	t.Helper()
	c, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c = c.DeepCopy()
	c.OS, c.Architecture, c.Config.Cmd = "linux", "amd64", []string{"/bin/sh", "-c", "echo " + word}
	return c
}

// inside makes requests in the Engine's network.
func inside() http.RoundTripper {
	return &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (c net.Conn, err error) {
		err = theEngine.Inside(func() error {
			c, err = new(net.Dialer).DialContext(ctx, network, address)
			return err
		})
		return c, err
	}}
}

// keeps runs a task that writes to a volume of a driver's, one that reads from it,
// and one that may not write to it.
func keeps(t *testing.T, e *Engine, driverName, name string) {
	t.Helper()
	for i, test := range []struct {
		mode         mesos.Volume_Mode
		script, want string
	}{
		{mesos.Volume_RW, "echo kept >/data/file", ""},
		{mesos.Volume_RW, "cat /data/file", "kept\n"},
		{mesos.Volume_RO, "echo bad >/data/file || cat /data/file", "kept\n"},
	} {
		b := e.box(t, fmt.Sprint(driverName, i), shell(test.script), func(s *Spec) {
			v := driver(name, driverName)
			v.ContainerPath, v.Mode = new("/data"), &test.mode
			s.Container.Volumes = []*mesos.Volume{v}
		})
		if status, out, errs := b.ends(t, b.launch(t)); out != test.want {
			t.Errorf("%s: status %d, %q, %q, want %q", driverName, status, out, errs, test.want)
		}
	}
	removeVolume(t, e, name)
}

func removeVolume(t *testing.T, e *Engine, name string) {
	t.Helper()
	all, err := e.api.ContainerList(t.Context(), client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("volume", name)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all.Items {
		if err := e.remove(c.ID); err != nil {
			t.Error(err)
		}
	}
	if _, err := e.api.VolumeRemove(t.Context(), name, client.VolumeRemoveOptions{}); err != nil {
		t.Error(err)
	}
}

func TestLocalVolume(t *testing.T) { keeps(t, open(t, nil), "local", "local-volume") }

// plugin is a volume plugin of Docker's: folders of one folder.
type plugin struct {
	dir string
	mu  sync.Mutex
	did map[string]int // how often each call came
}

func (p *plugin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var asked struct{ Name string }
	_ = json.NewDecoder(r.Body).Decode(&asked)
	call, at := strings.TrimPrefix(r.URL.Path, "/VolumeDriver."), filepath.Join(p.dir, asked.Name)
	p.mu.Lock()
	p.did[call]++
	p.mu.Unlock()
	answer := map[string]any{"Err": "", "Mountpoint": at}
	switch call {
	case "/Plugin.Activate":
		answer["Implements"] = []string{"VolumeDriver"}
	case "Create":
		if err := os.MkdirAll(at, 0o755); err != nil {
			answer["Err"] = err.Error()
		}
	case "Get":
		if _, err := os.Stat(at); err != nil {
			answer["Err"] = "there is no such volume"
		} else {
			answer["Volume"] = map[string]any{"Name": asked.Name, "Mountpoint": at}
		}
	case "Remove":
		if err := os.RemoveAll(at); err != nil {
			answer["Err"] = err.Error()
		}
	case "Capabilities":
		answer["Capabilities"] = map[string]any{"Scope": "local"}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// TestVolumePlugin: the Engine mounts what another program makes of a volume's name.
func TestVolumePlugin(t *testing.T) {
	e := open(t, nil)
	const sockets = "/run/docker/plugins" // the Engine looks nowhere else
	if err := os.MkdirAll(sockets, 0o755); err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprint("meseta-test-", os.Getpid())
	l, err := net.Listen("unix", filepath.Join(sockets, name+".sock"))
	if err != nil {
		t.Fatal(err)
	}
	p := &plugin{dir: t.TempDir(), did: map[string]int{}}
	server := &http.Server{Handler: p}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	keeps(t, e, name, "plugged")
	p.mu.Lock()
	defer p.mu.Unlock()
	for call, want := range map[string]int{"Create": 1, "Mount": 3, "Unmount": 3, "Remove": 1} {
		if p.did[call] < want {
			t.Errorf("%s came %d times", call, p.did[call])
		}
	}
}

// TestUsage: what the Engine tells of a container, of which its own network knows.
func TestUsage(t *testing.T) {
	e := open(t, func(c *Config) { c.CFS = true })
	b := e.box(t, "usage", shell("cat /bin/busybox >/mnt/mesos/sandbox/copy; ("+serve+") & i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo >/mnt/mesos/sandbox/ready; wait"), func(s *Spec) {
		inNetwork(s, mesos.ContainerInfo_DockerInfo_BRIDGE)
	})
	p := b.launch(t)
	b.writes(t, "ready")
	v4, _ := addresses(t, p, nil)
	reads(t, v4+":80")
	u := b.uses(t, p)
	s := u.Cgroup
	if u.Processes == 0 || u.RSS == 0 || s.GetThreads() < 2 || s.GetCpusUserTimeSecs()+s.GetCpusSystemTimeSecs() == 0 || s.GetCpusNrPeriods() == 0 ||
		s.GetMemTotalBytes() < s.GetMemRssBytes() || s.GetMemRssBytes() == 0 || s.MemCacheBytes == nil || s.MemMappedFileBytes == nil ||
		s.GetNetRxBytes() == 0 || s.GetNetRxPackets() == 0 || s.GetNetTxBytes() == 0 || s.GetNetTxPackets() == 0 || s.NetRxErrors == nil || s.NetTxDropped == nil {
		t.Errorf("usage %+v", u)
	}
	if err := p.Kill(); err != nil {
		t.Error(err)
	}
	b.ends(t, p)
}
