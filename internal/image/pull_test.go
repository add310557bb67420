package image

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
)

func small(t testing.TB, content string) v1.Image {
	t.Helper()
	return imageOf(t, v1.Config{Cmd: []string{content}}, layer(t, file{name: "base", body: "same"}), layer(t, file{name: "file", body: content}))
}

// One image is downloaded once, however many want it at the same time, and so is
// a layer that two images share.
func TestPullOnce(t *testing.T) {
	w := newWorld(t, nil)
	w.push("a", small(t, "a"))
	w.push("b", small(t, "b"))
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			ref := []string{"a", "b"}[i%2]
			root, err := w.provision(ids.ContainerID("c"+string(rune('a'+i))), ref)
			if err != nil {
				t.Error(err)
			} else if got := tree(t, root.Path); got != "base same\nfile "+ref+"\n" {
				t.Errorf("%s: %q", ref, got)
			}
		})
	}
	all.Wait()
	if got := w.blobs.Load(); got != 5 { // two configurations, three layers
		t.Errorf("%d blobs were downloaded", got)
	}
	w.must("again", "a")
	if got := w.blobs.Load(); got != 5 {
		t.Errorf("%d blobs after an image that is there was asked for", got)
	}
}

func TestMetrics(t *testing.T) {
	const pull, errors = "containerizer/mesos/provisioner/docker_store/image_pull_ms", "containerizer/mesos/provisioner/remove_container_errors"
	w := newWorld(t, nil)
	w.push("box", busybox(t))
	if _, err := w.provision("c1", "none"); err == nil {
		t.Error("an image that there is not was pulled")
	}
	got := map[string]float64{}
	w.store.Metrics(got)
	if _, timed := got[pull]; timed || got[errors] != 0 || w.store.Roots() != 0 {
		t.Errorf("at first: %v, %d roots", got, w.store.Roots())
	}
	w.must("c1", "box")
	w.must("c2", "box")
	if _, err := w.store.Provision(t.Context(), &Request{Container: "c3", Name: "volume", Image: docker("box")}); err != nil {
		t.Fatal(err)
	}
	w.store.Metrics(got)
	if got[pull+"/count"] != 1 || got[pull+"/max"] <= 0 || w.store.Roots() != 2 {
		t.Errorf("after a pull: %v, %d roots", got, w.store.Roots())
	}
	if err := w.store.Destroy("c1"); err != nil || w.store.Roots() != 1 {
		t.Errorf("after the end of one: %d roots, %v", w.store.Roots(), err)
	}
}

func TestNotCached(t *testing.T) {
	w := newWorld(t, nil)
	w.push("a", small(t, "old"))
	w.must("c1", "a")
	w.push("a", small(t, "new"))
	if got := w.must("c2", "a").Runtime.Cmd[0]; got != "old" {
		t.Errorf("the image that is there was not used, but %s", got)
	}
	fresh := docker("a")
	fresh.Cached = new(false)
	root, err := w.store.Provision(t.Context(), &Request{Container: "c3", Image: fresh})
	if err != nil || root.Runtime.Cmd[0] != "new" {
		t.Errorf("%v, %v", root, err)
	}
}

// Work that speaks at once is heard by who asked for it.
func TestFirstWord(t *testing.T) {
	var f flights[int]
	for range 20_000 {
		heard := 0
		_, err := f.do(t.Context(), "k", func(Progress) { heard++ }, func(_ context.Context, tell func(Progress)) (int, error) {
			tell(Progress{})
			return 0, nil
		})
		if err != nil || heard != 1 {
			t.Fatalf("%v, heard %d times", err, heard)
		}
	}
}

func TestProgress(t *testing.T) {
	w := newWorld(t, nil)
	w.push("a", imageOf(t, v1.Config{}, layer(t, file{name: "zeros", body: strings.Repeat("\x00", 20<<20)})))
	var told []string
	_, err := w.store.Provision(t.Context(), &Request{Container: "c", Image: docker("a"), Progress: func(p Progress) { told = append(told, p.String()) }})
	if err != nil || len(told) != 3 || told[2] != "Pulling image 'a': layer 1 of 1, 16 MB unpacked" {
		t.Errorf("%v, %q", err, told)
	}
}

// What comes over the wire is what the manifest names, or it is nothing.
func TestBadBlobs(t *testing.T) {
	for name, spoil := range map[string]func([]byte) []byte{
		"truncated": func(b []byte) []byte { return b[:len(b)-20] },
		"changed":   func(b []byte) []byte { b[len(b)-9] ^= 1; return b },
		"other":     func([]byte) []byte { return []byte("\x1f\x8b no gzip") },
		"longer":    func(b []byte) []byte { return append(b, b...) },
		"empty":     func([]byte) []byte { return nil },
	} {
		w := newWorld(t, nil)
		img := small(t, "x")
		w.push("a", img)
		layers, _ := img.Layers()
		digest, _ := layers[1].Digest()
		good, _ := layers[1].Compressed()
		body, _ := io.ReadAll(good)
		plain := w.cfg.Registry
		w.serve = func(out http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, digest.String()) {
				out.Write(spoil(append([]byte(nil), body...)))
				return
			}
			w.serveFrom(out, r, plain, img)
		}
		if _, err := w.provision("c", "a"); err == nil {
			t.Errorf("%s: it was taken", name)
		}
		if _, err := os.Stat(w.store.imageFile("a")); err == nil {
			t.Errorf("%s: the image is remembered", name)
		}
		if left, _ := filepath.Glob(w.store.path("staging", "*")); len(left) > 0 {
			t.Errorf("%s: left behind: %v", name, left)
		}
		w.serve = nil
		w.must("c", "a")
	}
}

// serveFrom serves one image as a registry does.
func (w *world) serveFrom(out http.ResponseWriter, r *http.Request, _ string, img v1.Image) {
	if strings.Contains(r.URL.Path, "/manifests/") {
		kind, _ := img.MediaType()
		out.Header().Set("Content-Type", string(kind))
		raw, _ := img.RawManifest()
		out.Write(raw)
		return
	}
	if config, _ := img.ConfigName(); strings.HasSuffix(r.URL.Path, config.String()) {
		raw, _ := img.RawConfigFile()
		out.Write(raw)
		return
	}
	layers, _ := img.Layers()
	for _, l := range layers {
		if d, _ := l.Digest(); strings.HasSuffix(r.URL.Path, d.String()) {
			in, _ := l.Compressed()
			io.Copy(out, in)
			return
		}
	}
}

// A configuration may name other layers than those that the manifest brings.
func TestWrongDiffID(t *testing.T) {
	w := newWorld(t, nil)
	img := small(t, "x")
	config, _ := img.ConfigFile()
	config = config.DeepCopy()
	config.RootFS.DiffIDs[0], config.RootFS.DiffIDs[1] = config.RootFS.DiffIDs[1], config.RootFS.DiffIDs[0]
	wrong, err := mutate.ConfigFile(img, config)
	if err != nil {
		t.Fatal(err)
	}
	w.push("a", wrong)
	if _, err := w.provision("c", "a"); err == nil || !strings.Contains(err.Error(), "its digest is") {
		t.Error(err)
	}
}

func TestByDigest(t *testing.T) {
	w := newWorld(t, nil)
	img := small(t, "x")
	w.push("a", img)
	digest, _ := img.Digest()
	w.must("c", "a@"+digest.String())
	other, _ := small(t, "y").Digest()
	w.serve = func(out http.ResponseWriter, r *http.Request) { w.serveFrom(out, r, "", img) }
	if _, err := w.provision("c2", "a@"+other.String()); err == nil {
		t.Error("the registry's choice was taken for the digest asked for")
	}
}

// An image for several platforms.
func TestIndex(t *testing.T) {
	w := newWorld(t, nil)
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: small(t, "other"), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "mips"}}},
		mutate.IndexAddendum{Add: small(t, "ours"), Descriptor: v1.Descriptor{Platform: new(platform())}})
	target, _ := name.ParseReference(w.host + "/many")
	if err := remote.WriteIndex(target, index); err != nil {
		t.Fatal(err)
	}
	if got := w.must("c", "many").Runtime.Cmd[0]; got != "ours" {
		t.Errorf("got %s", got)
	}
}

func TestAuthentication(t *testing.T) {
	config := func(host string) string {
		return `{"auths": {"https://` + host + `/v1/": {"auth": "dXNlcjpzZWNyZXQ="}}}` // user:secret
	}
	img := small(t, "x")
	guard := func(w *world) {
		w.serve = func(out http.ResponseWriter, r *http.Request) {
			if user, password, _ := r.BasicAuth(); user != "user" || password != "secret" {
				out.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
				http.Error(out, `{"errors": [{"code": "UNAUTHORIZED"}]}`, http.StatusUnauthorized)
				return
			}
			w.serveFrom(out, r, "", img)
		}
	}
	w := newWorld(t, nil)
	guard(w)
	if _, err := w.provision("c0", "a"); err == nil {
		t.Error("pulled without credentials")
	}
	secret := docker("a")
	secret.Docker.Config = &mesos.Secret{Type: mesos.Secret_VALUE.Enum(), Value: &mesos.Secret_Value{Data: []byte(config(w.host))}}
	if _, err := w.store.Provision(t.Context(), &Request{Container: "c1", Image: secret}); err != nil {
		t.Error("with the image's credentials:", err)
	}
	w = newWorld(t, nil)
	w.cfg.Auth = []byte(strings.TrimSuffix(strings.TrimPrefix(config(w.host), `{"auths": `), "}")) // as .dockercfg
	w.open()
	guard(w)
	if _, err := w.provision("c2", w.host+"/a"); err != nil {
		t.Error("with the agent's credentials:", err)
	}
}

func TestArchives(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, func(c *Config) { c.Registry = dir })
	tag := func(text string) name.Tag { return must(name.NewTag(text)) }
	write := func(path string, images map[name.Tag]v1.Image) {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755), tarball.MultiWriteToFile(filepath.Join(dir, path), images)); err != nil {
			t.Fatal(err)
		}
	}
	write("one:1.tar", map[name.Tag]v1.Image{tag("whatever:x"): small(t, "one")})
	write("plain.tar", map[name.Tag]v1.Image{tag("plain:latest"): small(t, "plain")})
	write("in/folder:2.tar", map[name.Tag]v1.Image{tag("in/folder:1"): small(t, "first"), tag("in/folder:2"): small(t, "second")})
	path, err := layout.Write(filepath.Join(dir, "oci:1"), empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendImage(small(t, "layout")); err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]string{"one:1": "one", "plain": "plain", "in/folder:2": "second", "oci:1": "layout"} {
		root, err := w.provision(ids.ContainerID("c-"+want), ref)
		if err != nil || root.Runtime.Cmd[0] != want {
			t.Errorf("%s: %v, %v", ref, root, err)
		}
	}
	os.WriteFile(filepath.Join(dir, "bad.tar"), []byte("no tar"), 0o600)
	for _, ref := range []string{"none", "bad", "one:2"} {
		if _, err := w.provision("c-bad", ref); err == nil {
			t.Errorf("%s was found", ref)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestReferences(t *testing.T) {
	for text, want := range map[string]string{
		"busybox":                 "index.docker.io/library/busybox:latest",
		"busybox:1":               "index.docker.io/library/busybox:1",
		"me/box":                  "index.docker.io/me/box:latest",
		"docker.io/busybox":       "index.docker.io/library/busybox:latest",
		"localhost/a":             "localhost/a:latest",
		"r.example:5000/a/b/c:v1": "r.example:5000/a/b/c:v1",
	} {
		r, err := parseReference(text)
		if err != nil || r.String() != text {
			t.Errorf("%s: %v, %v", text, r, err)
			continue
		}
		host, insecure := defaultRegistry("https://registry-1.docker.io")
		if got, err := r.resolve(host, insecure); err != nil || got.Name() != want {
			t.Errorf("%s: %v, %v, want %s", text, got, err, want)
		}
	}
}

func FuzzReference(f *testing.F) {
	f.Add("a/b:c@sha256:d")
	f.Add("localhost:5000/a")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseReference(text)
		if err != nil {
			return
		}
		again, err := parseReference(r.String())
		if err != nil || r.digest == "" && again != r {
			t.Errorf("%q: %v, then %v, %v", text, r, again, err)
		}
		if path, err := r.file("/dir"); err == nil && !strings.HasPrefix(path, "/dir/") {
			t.Errorf("%q is at %s", text, path)
		}
	})
}

func FuzzConfig(f *testing.F) {
	f.Add(`{"auths": {"r": {"auth": "dXNlcjpzZWNyZXQ="}}}`, "r")
	f.Add(`{"credsStore": "x", "credHelpers": {"r": "../y"}}`, "r")
	f.Add(`{"r": {"username": "u", "password": "p"}}`, "https://r/v1/")
	f.Fuzz(func(t *testing.T, text, host string) {
		if k, err := parseConfig([]byte(text), false); err == nil {
			for key := range k.auths {
				if registryKey(key) != key {
					t.Errorf("%q is not found by its own name", key)
				}
			}
		}
	})
}

// roundTrip is a transport made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// silent is a body that never comes.
type silent <-chan struct{}

func (s silent) Read([]byte) (int, error) { <-s; return 0, context.Canceled }
func (silent) Close() error               { return nil }

// A registry that goes silent, before or after its answer begins, is given up.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, next := range []roundTrip{
			func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() },
			func(r *http.Request) (*http.Response, error) {
				return &http.Response{Body: silent(r.Context().Done()), Request: r}, nil
			},
		} {
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://r/v2/", http.NoBody)
			began := time.Now()
			response, err := bounded{next, time.Minute}.RoundTrip(r)
			if err == nil {
				_, err = io.ReadAll(response.Body)
				response.Body.Close()
			}
			if !errors.Is(err, errStalled) || time.Since(began) != time.Minute {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		}
	})
}

func TestEndlessManifest(t *testing.T) {
	w := newWorld(t, nil)
	w.serve = func(out http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/manifests/") {
			out.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			for block := make([]byte, 1<<20); ; {
				if _, err := out.Write(block); err != nil {
					return
				}
			}
		}
	}
	if _, err := w.provision("c", "a"); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Error(err)
	}
}

// Who asked and does not want it any more is free at once; the pull goes on for the
// others, and ends with the last.
func TestGiveUp(t *testing.T) {
	var f flights[int]
	ended := make(chan struct{})
	work := func(ctx context.Context, _ func(Progress)) (int, error) {
		<-ctx.Done()
		close(ended)
		return 0, ctx.Err()
	}
	one, endOne := context.WithCancel(t.Context())
	two, endTwo := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for _, ctx := range []context.Context{one, two} {
		all.Go(func() {
			if _, err := f.do(ctx, "k", nil, work); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	for joined := false; !joined; {
		f.mu.Lock()
		joined = f.now["k"] != nil && f.now["k"].waiters == 2
		f.mu.Unlock()
	}
	endOne()
	select {
	case <-ended:
		t.Error("ended while one waits")
	default:
	}
	endTwo()
	<-ended
	all.Wait()
	if got, err := f.do(t.Context(), "k", nil, func(context.Context, func(Progress)) (int, error) { return 7, nil }); got != 7 || err != nil {
		t.Error(got, err)
	}
}

func TestEngineAuth(t *testing.T) {
	auth, err := EngineAuth([]byte(`{"auths": {"https://index.docker.io/v1/": {"auth": "dXNlcjpzZWNyZXQ="}, "r.example:5000": {"identitytoken": "t"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for image, want := range map[string]string{
		"busybox": `{"username":"user","password":"secret"}`, "r.example:5000/a:1": `{"identitytoken":"t"}`, "other.example/a": "", "": "",
	} {
		text, err := base64.URLEncoding.DecodeString(auth(image))
		if err != nil || string(text) != want {
			t.Errorf("%s: %s, %v", image, text, err)
		}
	}
	if _, err := EngineAuth([]byte("nonsense")); err == nil {
		t.Error("nonsense was taken")
	}
}
