package image

import (
	"archive/tar"
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/skip"
)

// world is a registry and a store that pulls from it.
type world struct {
	t     *testing.T
	host  string
	blobs atomic.Int32                             // downloads of blobs
	serve func(http.ResponseWriter, *http.Request) // before the registry, if set
	cfg   Config
	store *Store
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	w := &world{t: t}
	hub := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			w.blobs.Add(1)
		}
		if w.serve != nil {
			w.serve(out, r)
			return
		}
		hub.ServeHTTP(out, r)
	}))
	t.Cleanup(server.Close)
	w.host = strings.TrimPrefix(server.URL, "http://")
	dir := t.TempDir()
	w.cfg = Config{Dir: filepath.Join(dir, "store"), Containers: filepath.Join(dir, "provisioner"), Registry: server.URL}
	if change != nil {
		change(&w.cfg)
	}
	w.open()
	return w
}

func (w *world) open() {
	w.t.Helper()
	var err error
	if w.store, err = Open(w.cfg); err != nil {
		w.t.Fatal(err)
	}
	store := w.store
	w.t.Cleanup(func() {
		if err := store.Recover(func(ids.ContainerID) bool { return false }); err != nil {
			w.t.Error(err)
		}
	})
}

// push puts an image into the registry, past what stands before it.
func (w *world) push(ref string, img v1.Image) {
	w.t.Helper()
	serve := w.serve
	w.serve = nil
	defer func() { w.serve = serve }()
	target, err := name.ParseReference(w.host + "/" + ref)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := remote.Write(target, img); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) provision(id ids.ContainerID, ref string) (*Root, error) {
	return w.store.Provision(w.t.Context(), &Request{Container: id, Image: docker(ref)})
}

func (w *world) must(id ids.ContainerID, ref string) *Root {
	w.t.Helper()
	root, err := w.provision(id, ref)
	if err != nil {
		w.t.Fatal(err)
	}
	return root
}

func docker(ref string) *mesos.Image {
	return &mesos.Image{Type: mesos.Image_DOCKER.Enum(), Docker: &mesos.Image_Docker{Name: &ref}}
}

// file is an entry of a layer.
type file struct {
	name, body string
	kind       byte // a regular file if 0
	link       string
	mode       int64
	uid        int
	attributes map[string]string
}

func (f *file) header() *tar.Header {
	h := &tar.Header{
		Name: f.name, Typeflag: f.kind, Linkname: f.link, Mode: f.mode, Uid: f.uid, Gid: f.uid,
		Size: int64(len(f.body)), Format: tar.FormatPAX,
	}
	if h.Typeflag == 0 {
		h.Typeflag = tar.TypeReg
	}
	if h.Mode == 0 {
		h.Mode = 0o755
	}
	for name, value := range f.attributes {
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords[paxAttribute+name] = value
	}
	return h
}

func dir(name string) file { return file{name: name, kind: tar.TypeDir} }

func archive(t testing.TB, files ...file) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		if err := w.WriteHeader(f.header()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func layer(t testing.TB, files ...file) v1.Layer {
	t.Helper()
	text := archive(t, files...)
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func imageOf(t testing.TB, config v1.Config, layers ...v1.Layer) v1.Image {
	t.Helper()
	img, err := mutate.AppendLayers(empty.Image, layers...)
	if err == nil {
		img, err = mutate.ConfigFile(img, withConfig(t, img, config))
	}
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func withConfig(t testing.TB, img v1.Image, config v1.Config) *v1.ConfigFile {
	t.Helper()
	file, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	file = file.DeepCopy()
	file.Config, file.OS, file.Architecture = config, platform().OS, platform().Architecture
	return file
}

// busybox is an image that can run, made of Debian's busybox-static.
func busybox(t testing.TB) v1.Image {
	t.Helper()
	program, err := os.ReadFile("/bin/busybox")
	if err != nil {
		skip.Lacking(t, "busybox-static (make prepare installs it)")
	}
	return imageOf(t,
		v1.Config{Cmd: []string{"sh"}, Env: []string{"PATH=/bin", "bad", "A=image"}, WorkingDir: "/tmp"},
		layer(t, dir("bin/"), file{name: "bin/busybox", body: string(program)}, file{name: "bin/sh", kind: tar.TypeLink, link: "bin/busybox"}),
		layer(t, file{name: "tmp/", kind: tar.TypeDir, mode: 0o1777}, file{name: "etc/os", body: "busybox\n", mode: 0o644}))
}

// A root is a whole system: a program in it runs, writes, and finds nothing of the
// host; what it writes is in nobody else's root.
func TestRunInRoot(t *testing.T) {
	skip.UnlessRoot(t)
	for _, backend := range []string{"overlay", "copy"} {
		t.Run(backend, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.Backend = backend })
			w.push("box:1", busybox(t))
			for _, id := range []ids.ContainerID{"c1", "c1.n1"} {
				root := w.must(id, "box:1")
				run := exec.Command("/bin/sh", "-c", "busybox cat /etc/os; busybox ls /; echo mine >/etc/os")
				run.SysProcAttr, run.Dir = &syscall.SysProcAttr{Chroot: root.Path}, "/"
				run.Env = []string{"PATH=/bin"}
				run.Path = "/bin/busybox"
				run.Args[0] = "sh"
				out, err := run.CombinedOutput()
				if want := "busybox\nbin\netc\ntmp\n"; err != nil || string(out) != want {
					t.Errorf("%v: %q, want %q", err, out, want)
				}
			}
			if err := w.store.Destroy("c1"); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(w.store.containerDir("c1.n1")); err != nil {
				t.Error("the nested container's root went with its parent's:", err)
			}
		})
	}
}

func TestRuntimeConfig(t *testing.T) {
	w := newWorld(t, nil)
	w.push("box", busybox(t))
	root := w.must("c1", "box")
	if got := strings.Join(root.Runtime.Env, " "); got != "PATH=/bin A=image" {
		t.Errorf("environment %q", got)
	}
	if got := root.Runtime; got.WorkingDir != "/tmp" || len(got.Cmd) != 1 {
		t.Errorf("%+v", got)
	}
	again, ok := w.store.Find("c1", "")
	if !ok || again.Path != root.Path || again.Runtime.WorkingDir != "/tmp" {
		t.Errorf("found again: %+v, %t", again, ok)
	}
	if _, ok := w.store.Find("c2", ""); ok {
		t.Error("a root was found that was never made")
	}
}

// The store holds set-user-id programs of strangers: users of the machine may not
// come near.
func TestStoreIsClosed(t *testing.T) {
	w := newWorld(t, nil)
	w.push("box", busybox(t))
	w.must("c1", "box")
	for _, dir := range []string{w.store.path("layers"), w.store.path("staging"), w.cfg.Containers, w.store.containerDir("c1")} {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", dir, info, err)
		}
	}
}

func TestBadRequests(t *testing.T) {
	w := newWorld(t, nil)
	appc := &mesos.Image{Type: mesos.Image_APPC.Enum(), Appc: &mesos.Image_Appc{Name: new("x")}}
	for _, r := range []*Request{
		{Container: "c", Image: appc},
		{Container: "c", Image: docker("")},
		{Container: "c", Image: docker("../../etc")},
		{Container: "c", Image: docker("a b")},
		{Container: "c", Image: docker("a@sha256:12")},
		{Container: "c", Image: docker("a@@")},
		{Container: "c", Image: docker(strings.Repeat("a", 2000))},
		{Container: "c", Name: "../x", Image: docker("a")},
		{Container: "c", Image: docker("no-such")},
	} {
		if root, err := w.store.Provision(t.Context(), r); err == nil {
			t.Errorf("%v: got %v", r.Image, root)
		}
	}
	if _, err := Open(Config{Dir: t.TempDir(), Containers: t.TempDir(), Backend: "aufs"}); err == nil {
		t.Error("backend aufs was taken")
	}
	if _, err := Open(Config{Dir: t.TempDir(), Containers: t.TempDir(), Auth: []byte(`{"auths": "c2VjcmV0"}`)}); err == nil || strings.Contains(err.Error(), "c2VjcmV0") {
		t.Error("bad credentials:", err)
	}
}
