package fetcher

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ulikunitz/xz"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/skip"
)

// helperVariable makes the test binary act as the helper process.
const helperVariable = "--fetch-helper"

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == helperVariable {
		os.Exit(Main(context.Background(), os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func fetcherOf(t *testing.T, cacheSize int64) *Fetcher {
	t.Helper()
	return New(Config{
		CacheDir: filepath.Join(t.TempDir(), "cache"), CacheSize: cacheSize, StallTimeout: time.Minute,
		Helper: []string{"/proc/self/exe", helperVariable},
	})
}

func uri(value string, change ...func(*mesos.CommandInfo_URI)) *mesos.CommandInfo_URI {
	u := &mesos.CommandInfo_URI{Value: &value}
	for _, c := range change {
		c(u)
	}
	return u
}

func cached(u *mesos.CommandInfo_URI)     { u.Cache = new(true) }
func executable(u *mesos.CommandInfo_URI) { u.Executable = new(true) }
func raw(u *mesos.CommandInfo_URI)        { u.Extract = new(false) }
func as(name string) func(*mesos.CommandInfo_URI) {
	return func(u *mesos.CommandInfo_URI) { u.OutputFile = &name }
}

// serve serves files by name and counts the requests.
func serve(t *testing.T, files map[string][]byte) (base string, requests *atomic.Int32) {
	t.Helper()
	requests = new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		body, ok := files[strings.TrimPrefix(r.URL.Path, "/")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/", requests
}

func tarOf(t *testing.T, heads ...*tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range heads {
		content := "content of " + h.Name
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(content))
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, content); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func file(name string, mode int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode}
}

func packed(t *testing.T, data []byte, pack func(io.Writer) (io.WriteCloser, error)) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := pack(&b)
	if err == nil {
		_, err = w.Write(data)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gz(w io.Writer) (io.WriteCloser, error)  { return gzip.NewWriter(w), nil }
func xzw(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) }

func zipOf(t *testing.T, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, "content of "+name); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFetch(t *testing.T) {
	archive := tarOf(t, file("a/b", 0o4751), file("ünï", 0o644), &tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "a/b"},
		&tar.Header{Typeflag: tar.TypeLink, Name: "h", Linkname: "a/b"})
	base, _ := serve(t, map[string][]byte{
		"plain": []byte("hello"), "x.tar": archive, "x.tar.gz": packed(t, archive, gz), "x.tar.xz": packed(t, archive, xzw),
		"x.zip": zipOf(t, "a/b"), "one.gz": packed(t, []byte("content of one"), gz),
	})
	for _, test := range []struct {
		uri  *mesos.CommandInfo_URI
		want map[string]os.FileMode // files and what their modes are
	}{
		{uri(base + "plain"), map[string]os.FileMode{"plain": 0o644}},
		{uri(base+"plain", executable, as("bin/run")), map[string]os.FileMode{"bin/run": 0o755}},
		{uri(base + "x.tar"), map[string]os.FileMode{"x.tar": 0o644, "a/b": 0o751, "ünï": 0o644, "l": 0o751, "h": 0o751}},
		{uri(base + "x.tar.gz"), map[string]os.FileMode{"a/b": 0o751}},
		{uri(base+"x.tar.gz", cached), map[string]os.FileMode{"a/b": 0o751}},
		{uri(base + "x.tar.xz"), map[string]os.FileMode{"a/b": 0o751}},
		{uri(base + "x.zip"), map[string]os.FileMode{"a/b": 0o666}},
		{uri(base + "one.gz"), map[string]os.FileMode{"one": 0o644}},
		{uri(base+"x.zip", raw), map[string]os.FileMode{"x.zip": 0o644}},
		{uri(base+"plain", cached), map[string]os.FileMode{"plain": 0o644}},
		{uri("/etc/hostname"), map[string]os.FileMode{"hostname": 0o644}},
		{uri("file:///etc/hostname", as("h")), map[string]os.FileMode{"h": 0o644}},
	} {
		box := t.TempDir()
		if err := fetcherOf(t, 1<<20).Fetch(t.Context(), box, "", []*mesos.CommandInfo_URI{test.uri}, io.Discard); err != nil {
			t.Errorf("%v: %v", test.uri, err)
			continue
		}
		for name, mode := range test.want {
			info, err := os.Stat(filepath.Join(box, name))
			if err != nil || info.Mode() != mode || info.Size() == 0 {
				t.Errorf("%v: %s is %v, %v, want %v", test.uri, name, info, err, mode)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	base, _ := serve(t, map[string][]byte{"broken.zip": []byte("no archive")})
	for _, test := range []struct {
		uri  *mesos.CommandInfo_URI
		want string
	}{
		{uri(base + "missing"), "404"},
		{uri(base + "broken.zip"), "zip"},
		{uri("relative"), "--frameworks_home"},
		{uri("ftp://host/x"), "use file://"},
		{uri("http://host"), "names no file"},
		{uri("file:///etc"), "not a regular file"},
		{uri("file:///no/such"), "no such file"},
		{uri("/etc/hostname", as("../x")), "not below the sandbox"},
		{uri("/etc/hostname", as("/x")), "not below the sandbox"},
		{uri("/etc/host'name"), "illegal"},
	} {
		err := fetcherOf(t, 1<<20).Fetch(t.Context(), t.TempDir(), "", []*mesos.CommandInfo_URI{test.uri}, io.Discard)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v, want it to say %q", test.uri, err, test.want)
		}
	}
}

// Archives made to write outside the sandbox: by their names, through links that
// they bring, and through links that were there.
func TestNothingLeavesTheSandbox(t *testing.T) {
	link := func(name, to string) *tar.Header {
		return &tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}
	}
	for name, heads := range map[string][]*tar.Header{
		"dots":        {file("../../outside/victim", 0o644)},
		"absolute":    {file("OUTSIDE/victim", 0o644)},
		"link":        {link("l", "OUTSIDE"), file("l/victim", 0o644)},
		"link chain":  {link("a", ".."), link("b", "a/.."), file("b/outside/victim", 0o644)},
		"link file":   {link("l", "OUTSIDE/victim"), file("l", 0o644)},
		"hard link":   {{Typeflag: tar.TypeLink, Name: "h", Linkname: "OUTSIDE/present"}, file("h", 0o644)},
		"device":      {{Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3}},
		"there first": {file("planted/victim", 0o644)},
	} {
		dir := t.TempDir()
		outside, box := filepath.Join(dir, "outside"), filepath.Join(dir, "work", "box")
		present := filepath.Join(outside, "present")
		if err := errors.Join(os.MkdirAll(outside, 0o755), os.MkdirAll(box, 0o755), os.WriteFile(present, []byte("mine"), 0o644),
			os.Symlink(outside, filepath.Join(box, "planted"))); err != nil {
			t.Fatal(err)
		}
		for _, h := range heads {
			h.Name = strings.Replace(h.Name, "OUTSIDE", outside, 1)
			h.Linkname = strings.Replace(h.Linkname, "OUTSIDE", outside, 1)
		}
		archive := filepath.Join(dir, "evil.tar")
		if err := os.WriteFile(archive, tarOf(t, heads...), 0o644); err != nil {
			t.Fatal(err)
		}
		err := fetcherOf(t, 1<<20).Fetch(t.Context(), box, "", []*mesos.CommandInfo_URI{uri(archive)}, io.Discard)
		t.Logf("%s: %v", name, err)
		if _, err := os.Lstat(filepath.Join(outside, "victim")); err == nil {
			t.Errorf("%s: wrote outside the sandbox", name)
		}
		if text, err := os.ReadFile(present); err != nil || string(text) != "mine" {
			t.Errorf("%s: changed a file outside the sandbox: %q, %v", name, text, err)
		}
	}
}

func TestCacheFetchesOnce(t *testing.T) {
	base, requests := serve(t, map[string][]byte{"x": []byte("hello")})
	f := fetcherOf(t, 1<<20)
	var all sync.WaitGroup
	for range 8 {
		box := t.TempDir()
		all.Go(func() {
			if err := f.Fetch(t.Context(), box, "", []*mesos.CommandInfo_URI{uri(base+"x", cached)}, io.Discard); err != nil {
				t.Error(err)
			}
			if text, err := os.ReadFile(filepath.Join(box, "x")); err != nil || string(text) != "hello" {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
	all.Wait()
	if n := requests.Load(); n != 1 {
		t.Errorf("%d downloads, want 1", n)
	}
}

func TestCacheMakesRoom(t *testing.T) {
	base, requests := serve(t, map[string][]byte{"a": make([]byte, 60), "b": make([]byte, 60), "big": make([]byte, 200)})
	f := fetcherOf(t, 100)
	for _, name := range []string{"a", "b", "b", "a", "big", "big"} {
		if err := f.Fetch(t.Context(), t.TempDir(), "", []*mesos.CommandInfo_URI{uri(base+name, cached)}, io.Discard); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	// a and b drive each other out; big is tried for the cache and then fetched.
	if n := requests.Load(); n != 3+2*2 {
		t.Errorf("%d downloads, want 7", n)
	}
}

func TestCacheForgetsFailures(t *testing.T) {
	files := map[string][]byte{}
	base, _ := serve(t, files)
	f := fetcherOf(t, 100)
	if err := f.Fetch(t.Context(), t.TempDir(), "", []*mesos.CommandInfo_URI{uri(base+"x", cached)}, io.Discard); err == nil {
		t.Error("fetched what is not there")
	}
	files["x"] = []byte("now")
	if err := f.Fetch(t.Context(), t.TempDir(), "", []*mesos.CommandInfo_URI{uri(base+"x", cached)}, io.Discard); err != nil {
		t.Error(err)
	}
}

func TestStall(t *testing.T) {
	hold := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "some")
		_ = http.NewResponseController(w).Flush()
		<-hold
	}))
	defer s.Close()
	defer close(hold)
	f := fetcherOf(t, 1<<20)
	f.cfg.StallTimeout = 20 * time.Millisecond
	err := f.Fetch(t.Context(), t.TempDir(), "", []*mesos.CommandInfo_URI{uri(s.URL + "/x")}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "nothing arrived") {
		t.Errorf("got %v, want a stall", err)
	}
}

func TestRightsOfTheUser(t *testing.T) {
	skip.UnlessRoot(t)
	dir, err := os.MkdirTemp("", "fetch") //nolint:usetesting // below a folder that others may enter
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	box, secret := filepath.Join(dir, "box"), filepath.Join(dir, "secret")
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(box, 0o755), os.Chown(box, 65534, 65534), os.WriteFile(secret, []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	f := fetcherOf(t, 1<<20)
	if err := f.Fetch(t.Context(), box, "nobody", []*mesos.CommandInfo_URI{uri("/etc/hostname")}, io.Discard); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(filepath.Join(box, "hostname")); err != nil || info.Size() == 0 {
		t.Errorf("not fetched: %v, %v", info, err)
	}
	err = f.Fetch(t.Context(), box, "nobody", []*mesos.CommandInfo_URI{uri(secret)}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("another's file: %v, want permission denied", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"http://h/x", "file:///x", "/x/..", "x", "http://[::1", "file://h/x", "http://h/%2e%2e"} {
		f.Add(seed, "out")
	}
	f.Fuzz(func(t *testing.T, value, name string) {
		s, err := parse(uri(value, as(name)), "/home")
		if err == nil && !filepath.IsLocal(s.Name) {
			t.Errorf("%q, %q: would write to %q", value, name, s.Name)
		}
	})
}
