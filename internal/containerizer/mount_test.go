package containerizer

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/launcher/posix"
)

// mounting is a containerizer whose launcher is said to mount, over a machine of
// its own in dir: host with a folder and a file, work with a pod's sandbox and that
// of its task.
func mounting(t *testing.T) (c *Containerizer, spec *Spec, dir string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"host/folder", "work/pod"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "host/file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	trees, err := posix.New()
	if err != nil {
		t.Fatal(err)
	}
	c = containerizer(t, Config{
		RuntimeDir: filepath.Join(dir, "run"), Launcher: trees, Mapped: "/mnt/mesos/sandbox",
		Own: []string{filepath.Join(dir, "work"), filepath.Join(dir, "run")}, MakeBelow: []string{filepath.Join(dir, "host/made")},
	}, nil)
	return c, &Spec{ID: ids.ContainerID("pod.task"), Sandbox: filepath.Join(dir, "work/pod/containers/task")}, dir
}

func hostPath(at, path string) *mesos.Volume {
	return &mesos.Volume{ContainerPath: &at, Mode: mesos.Volume_RW.Enum(), Source: &mesos.Volume_Source{
		Type: mesos.Volume_Source_HOST_PATH.Enum(), HostPath: &mesos.Volume_Source_HostPath{Path: &path},
	}}
}

func sandboxPath(at, path string, of mesos.Volume_Source_SandboxPath_Type) *mesos.Volume {
	return &mesos.Volume{ContainerPath: &at, Mode: mesos.Volume_RO.Enum(), Source: &mesos.Volume_Source{
		Type: mesos.Volume_Source_SANDBOX_PATH.Enum(), SandboxPath: &mesos.Volume_Source_SandboxPath{Type: &of, Path: &path},
	}}
}

const (
	self   = mesos.Volume_Source_SandboxPath_SELF
	parent = mesos.Volume_Source_SandboxPath_PARENT
)

func TestMounts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		volume *mesos.Volume
		want   string // SOURCE TARGET [host] [ro], within the folder; else what the error says
	}{
		{hostPath("deep/data", "DIR/host/folder"), "host/folder work/pod/containers/task/deep/data host"},
		{hostPath("data", "DIR/host/file"), "host/file work/pod/containers/task/data host"},
		{hostPath("data", "DIR/host/link"), "host/folder work/pod/containers/task/data host"},
		{hostPath("DIR/host/folder", "/usr"), "/usr host/folder host"},
		{hostPath("data", "DIR/host/made/a/b"), "host/made/a/b work/pod/containers/task/data host"},
		{hostPath("data", "DIR/host/made/../made/c"), "host/made/c work/pod/containers/task/data host"},
		{&mesos.Volume{ContainerPath: new("data"), HostPath: new("DIR/host/folder"), Mode: mesos.Volume_RO.Enum()}, "host/folder work/pod/containers/task/data host ro"},
		{&mesos.Volume{ContainerPath: new("DIR/host"), HostPath: new("data"), Mode: mesos.Volume_RW.Enum()}, "work/pod/containers/task/data host"},
		{sandboxPath("DIR/host", "in/side", self), "work/pod/containers/task/in/side host ro"},
		{sandboxPath("data", "shared", parent), "work/pod/shared work/pod/containers/task/data ro"},

		{hostPath("data", "relative"), "Path 'relative' in HOST_PATH volume is not absolute"},
		{hostPath("data", "DIR/host/none"), "does not exist and is not whitelisted for creation"},
		{hostPath("data", "DIR/host/made/link/none"), "Failed to create the host path"},
		{hostPath("data", "DIR/host/madeup"), "is not whitelisted"},
		{hostPath("data", "DIR/work"), "is the agent's own"},
		{hostPath("data", "DIR/work/pod"), "is the agent's own"},
		{hostPath("data", "DIR/host/../run"), "does not exist"},
		{hostPath("data", "DIR/host/towork"), "is the agent's own"},
		{hostPath("DIR/none", "DIR/host/folder"), "It must exist if the container shares the host filesystem"},
		{hostPath("/", "DIR/host/folder"), "names no place"},
		{hostPath("", "DIR/host/folder"), "names no place"},
		{hostPath("../data", "DIR/host/folder"), "contains '..'"},
		{hostPath("a/../../data", "DIR/host/folder"), "contains '..'"},
		{hostPath("out/data", "DIR/host/folder"), "Failed to create the mount point"},
		{hostPath("out", "DIR/host/folder"), "is a link"},
		{hostPath("inner", "DIR/host/folder"), "is a link"},
		{hostPath("inner/data", "DIR/host/folder"), "is a link"},
		{hostPath("stdout/data", "DIR/host/folder"), "Failed to create the mount point"},
		{sandboxPath("data", "x", self), "'container_path' is relative for SANDBOX_PATH volume SELF type"},
		{sandboxPath("DIR/host", "/etc", self), "in SANDBOX_PATH volume is absolute"},
		{sandboxPath("DIR/host", "../x", self), "contains '..'"},
		{sandboxPath("DIR/host", "out", self), "find 'out' in the sandbox"},
		{sandboxPath("DIR/host", "out/x", self), "find 'out/x' in the sandbox"},
		{sandboxPath("data", "../../x", parent), "contains '..'"},
		{sandboxPath("data", "out", parent), "find 'out' in the sandbox"},
		{sandboxPath("data", "x", 0), "Unknown SANDBOX_PATH volume type"},
		{&mesos.Volume{ContainerPath: new("data"), Image: &mesos.Image{}}, "--image_providers=DOCKER"},
		{&mesos.Volume{ContainerPath: new("data"), Source: &mesos.Volume_Source{Type: mesos.Volume_Source_CSI_VOLUME.Enum()}}, "CSI_VOLUME are not supported"},
		{bidirectional("DIR"), "because the agent's own 'DIR/work' is below it"},
	} {
		c, spec, dir := mounting(t)
		links(t, dir)
		volume := test.volume
		paths := []*string{volume.ContainerPath, volume.HostPath}
		if host := volume.GetSource().GetHostPath(); host != nil {
			paths = append(paths, host.Path)
		}
		for _, path := range paths {
			if path != nil {
				*path = strings.ReplaceAll(*path, "DIR", dir)
			}
		}
		spec.Container = &mesos.ContainerInfo{Type: mesos.ContainerInfo_MESOS.Enum(), Volumes: []*mesos.Volume{volume}}
		err := c.Prepare(t.Context(), spec)
		test.want = strings.ReplaceAll(test.want, "DIR", dir)
		if got := mountText(spec.mounts, err, dir); got != test.want && (err == nil || !strings.Contains(got, test.want)) {
			t.Errorf("%v: %s; want %s", volume, got, test.want)
		}
		left, _ := os.ReadDir(filepath.Join(dir, "outside"))
		if len(left) != 0 {
			t.Errorf("%v: %v was made outside", volume, left)
		}
	}
}

// links are put by a task that wants out.
func links(t *testing.T, dir string) {
	t.Helper()
	for _, folder := range []string{"outside", "host/made", "work/pod/containers/task/folder"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{
		"host/link": "folder", "host/towork": "../work", "host/made/link": filepath.Join(dir, "outside"),
		"work/pod/out": "../../outside", "work/pod/containers/task/out": "../../../../outside", "work/pod/containers/task/inner": "folder",
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
}

// Only what is in a shared mount can have mounts that go both ways, and nothing may
// be in a volume whose mounts do.
func TestBidirectional(t *testing.T) {
	const mounts = `1 0 8:1 / / rw shared:1 - ext4 /dev/sda rw
2 1 0:5 / /a rw - tmpfs none rw
3 1 0:6 / /a/b rw master:3 shared:2 - tmpfs none rw
4 1 0:7 / /with\040blank rw master:1 - tmpfs none rw
5 1 0:8 / /twice rw shared:4 - tmpfs none rw
6 5 0:9 / /twice rw - tmpfs none rw
`
	for path, want := range map[string]bool{
		"/": true, "/home": true, "/a": false, "/a/c": false, "/a/b": true, "/a/b/c": true, "/a/bc": false, "/with blank/x": false, "/twice": false,
	} {
		if got := sharedAt(mounts, path); got != want {
			t.Errorf("%s: %t", path, got)
		}
	}
	both, other := launcher.Mount{Target: "/a", Host: true, Both: true}, launcher.Mount{Target: "/a/b"}
	if err := apart([]launcher.Mount{both, other}); err == nil || !strings.Contains(err.Error(), "volume '/a/b' is in '/a'") {
		t.Errorf("%v", err)
	}
	if err := apart([]launcher.Mount{both, {Target: "/ab"}}); err != nil {
		t.Error(err)
	}
}

func bidirectional(source string) *mesos.Volume {
	v := hostPath("data", source)
	v.Source.HostPath.MountPropagation = &mesos.MountPropagation{Mode: mesos.MountPropagation_BIDIRECTIONAL.Enum()}
	return v
}

func mountText(mounts []launcher.Mount, err error, dir string) string {
	if err != nil {
		return err.Error()
	}
	var all []string
	for _, m := range mounts {
		all = append(all, strings.TrimPrefix(m.Source, dir+"/"), strings.TrimPrefix(m.Target, dir+"/"))
		if m.Host {
			all = append(all, "host")
		}
		if m.ReadOnly {
			all = append(all, "ro")
		}
	}
	return strings.Join(all, " ")
}

// TestMountsNeedALauncher: plain processes have no volumes of their own, and say so.
func TestMountsNeedALauncher(t *testing.T) {
	t.Parallel()
	c, spec, dir := mounting(t)
	c.cfg.Launcher = nil
	spec.Container = &mesos.ContainerInfo{Volumes: []*mesos.Volume{hostPath("data", dir+"/host/folder")}}
	if err := c.Prepare(t.Context(), spec); err == nil || !strings.HasPrefix(err.Error(), "Volumes in ContainerInfo is not supported") {
		t.Errorf("error %v", err)
	}
}

// TestParentOfNobody: only what is nested has a parent.
func TestParentOfNobody(t *testing.T) {
	t.Parallel()
	c, spec, _ := mounting(t)
	spec.ID = "task"
	spec.Container = &mesos.ContainerInfo{Volumes: []*mesos.Volume{sandboxPath("data", "x", parent)}}
	if err := c.Prepare(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "PARENT type only works for nested container") {
		t.Errorf("error %v", fmt.Sprint(err))
	}
}
