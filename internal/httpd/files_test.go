package httpd_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/meseta-project/meseta/internal/authn"
	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/refusal"
)

const secret = "secret outside"

// sandbox is a directory with what a hostile task may leave in it, attached
// as /sandbox, and a file beside it.
func sandbox(t testing.TB) (*httpd.Files, string) {
	t.Helper()
	base := t.TempDir()
	dir := filepath.Join(base, "sandbox")
	must(t, os.MkdirAll(filepath.Join(dir, "sub", "empty"), 0o755))
	must(t, os.WriteFile(filepath.Join(base, "outside"), []byte(secret), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "stdout"), []byte("hello\nworld\n"), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "sub", "<x>.html"), []byte(strings.Repeat("0123456789", 10_000)), 0o640))
	must(t, os.Symlink("stdout", filepath.Join(dir, "inside")))
	must(t, os.Symlink("../outside", filepath.Join(dir, "relative")))
	must(t, os.Symlink(filepath.Join(base, "outside"), filepath.Join(dir, "absolute")))
	must(t, os.Symlink("..", filepath.Join(dir, "up")))
	must(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	must(t, os.Symlink("nowhere", filepath.Join(dir, "dangling")))
	must(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	files := &httpd.Files{}
	must(t, files.Attach("/sandbox/", dir, nil))
	must(t, files.Attach("/log", filepath.Join(dir, "inside"), nil))
	return files, base
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestReadOfFiles(t *testing.T) {
	files, _ := sandbox(t)
	for _, c := range []struct {
		name           string
		offset, length int64
		size           int64
		data           string
	}{
		{"/sandbox/stdout", 0, -1, 12, "hello\nworld\n"},
		{"/sandbox/stdout", 6, 5, 12, "world"},
		{"/sandbox/stdout", 6, 500, 12, "world\n"},
		{"/sandbox/stdout", 12, 1, 12, ""},
		{"/sandbox/stdout", 1 << 60, 1, 12, ""},
		{"/sandbox/stdout", 0, 0, 12, ""},
		{"/sandbox/inside", 0, 5, 12, "hello"},
		{"/sandbox/sub/../stdout", 0, 5, 12, "hello"},
		{"/log", 0, 5, 12, "hello"},
		{"/sandbox/sub/<x>.html", 0, -1, 100_000, strings.Repeat("0123456789", 10_000)[:65536]},
		{"/sandbox/sub/<x>.html", 90_000, 1 << 40, 100_000, strings.Repeat("0123456789", 1000)},
	} {
		size, data, err := files.Read(c.name, c.offset, c.length, "")
		if err != nil || size != c.size || string(data) != c.data {
			t.Errorf("%s at %d: size %d, %.20q, %v", c.name, c.offset, size, data, err)
		}
	}
}

// Nothing leads out of what is attached, and what is no file is not waited
// for.
func TestNothingLeadsOutside(t *testing.T) {
	files, _ := sandbox(t)
	for name, want := range map[string]refusal.Reason{
		"/sandbox/relative":                   refusal.Invalid,
		"/sandbox/absolute":                   refusal.Invalid,
		"/sandbox/up/outside":                 refusal.Invalid,
		"/sandbox/../outside":                 refusal.Invalid,
		"/sandbox/sub/../../outside":          refusal.Invalid,
		"/sandbox/loop":                       refusal.Invalid,
		"/sandbox/pipe":                       refusal.Invalid,
		"/sandbox/sub":                        refusal.Invalid,
		"/sandbox":                            refusal.Invalid,
		"/sandbox/dangling":                   refusal.NotFound,
		"/sandbox/nope":                       refusal.NotFound,
		"/sandbox/stdout/x":                   refusal.NotFound,
		"/log/x":                              refusal.NotFound,
		"/nope":                               refusal.NotFound,
		"/sandboxes":                          refusal.NotFound,
		"":                                    refusal.NotFound,
		"/sandbox/" + strings.Repeat("x/", 5): refusal.NotFound,
	} {
		_, data, err := files.Read(name, 0, -1, "")
		if refusal.ReasonOf(err) != want || data != nil {
			t.Errorf("%s: %q %v; want %v", name, data, err, want)
		}
	}
}

// A link that changes between the check and the use would get out, were there
// a gap between them.
func TestRacedLinksDoNotLeadOutside(t *testing.T) {
	files, base := sandbox(t)
	dir := filepath.Join(base, "sandbox")
	target := filepath.Join(dir, "raced")
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			for _, to := range []string{"stdout", "../outside", "sub", ".."} {
				_ = os.Symlink(to, target+".new")
				_ = os.Rename(target+".new", target)
			}
		}
	}()
	for range 3000 {
		for _, name := range []string{"/sandbox/raced", "/sandbox/raced/outside", "/sandbox/raced/../outside"} {
			if _, data, _ := files.Read(name, 0, -1, ""); strings.Contains(string(data), secret) {
				t.Fatalf("%s was read", name)
			}
		}
		list, _ := files.List("/sandbox/raced", "")
		for _, f := range list {
			if strings.HasSuffix(f.Path, "/outside") {
				t.Fatal("the directory outside was listed")
			}
		}
	}
	stop.Store(true)
	<-done
}

func TestList(t *testing.T) {
	files, _ := sandbox(t)
	list, err := files.List("/sandbox/", "")
	must(t, err)
	var got []string
	for _, f := range list {
		got = append(got, f.Permissions()[:1]+" "+f.Path)
		if f.UID == "" || f.GID == "" || f.Nlink == 0 {
			t.Errorf("%+v", f)
		}
	}
	want := "l /sandbox/absolute,l /sandbox/dangling,- /sandbox/inside,l /sandbox/loop,p /sandbox/pipe,l /sandbox/relative,- /sandbox/stdout,d /sandbox/sub,l /sandbox/up"
	if strings.Join(got, ",") != want {
		t.Errorf("%s", strings.Join(got, ","))
	}
	if list, err := files.List("/sandbox/stdout", ""); len(list) != 0 || err != nil {
		t.Errorf("%v %v", list, err)
	}
	if list, err := files.List("/sandbox/sub", ""); len(list) != 2 || err != nil || list[0].Permissions() != "-rw-r-----" || list[1].Permissions() != "drwxr-xr-x" {
		t.Errorf("%v %v", list, err)
	}
	if _, err := files.List("/sandbox/up", ""); refusal.ReasonOf(err) != refusal.Invalid {
		t.Errorf("%v", err)
	}
}

func TestAccessIsPerPrincipal(t *testing.T) {
	files, base := sandbox(t)
	must(t, files.Attach("/sandbox", filepath.Join(base, "sandbox"), func(principal string) error {
		if principal != "owner" {
			return refusal.Forbiddenf("403 Forbidden.")
		}
		return nil
	}))
	if _, _, err := files.Read("/sandbox/stdout", 0, 1, "thief"); refusal.ReasonOf(err) != refusal.Forbidden {
		t.Errorf("%v", err)
	}
	if _, err := files.List("/sandbox/sub", "thief"); refusal.ReasonOf(err) != refusal.Forbidden {
		t.Errorf("%v", err)
	}
	if _, data, err := files.Read("/sandbox/stdout", 0, 1, "owner"); string(data) != "h" || err != nil {
		t.Errorf("%q %v", data, err)
	}
	files.Detach("/sandbox")
	if _, _, err := files.Read("/sandbox/stdout", 0, 1, "owner"); refusal.ReasonOf(err) != refusal.NotFound {
		t.Errorf("%v", err)
	}
	if err := files.Attach("/x", filepath.Join(base, "nope"), nil); err == nil {
		t.Error("attached what is not there")
	}
}

func get(h http.Handler, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, target, http.NoBody)
	h.ServeHTTP(w, r.WithContext(authn.WithPrincipal(r.Context(), "owner")))
	return w
}

func filesMux(files *httpd.Files) *httpd.Mux {
	m := httpd.NewMux("master")
	files.Route(m, func(h http.Handler) http.Handler { return h })
	return m
}

func TestFilesEndpoints(t *testing.T) {
	files, _ := sandbox(t)
	m := filesMux(files)
	for _, c := range []struct {
		target string
		status int
		body   string
	}{
		{"/files/read?path=/sandbox/stdout&offset=0&length=5", 200, `{"data":"hello","offset":0}`},
		{"/files/read?path=/sandbox/stdout", 200, `{"data":"","offset":12}`},
		{"/files/read?path=/sandbox/stdout&offset=-1&length=-1", 200, `{"data":"","offset":12}`},
		{"/files/read?path=/sandbox/stdout&offset=6&length=-1", 200, `{"data":"world\n","offset":6}`},
		{"/files/read.json?path=/sandbox/stdout&offset=99", 200, `{"data":"","offset":99}`},
		{"/files/read?path=/sandbox/stdout&offset=0&length=1&jsonp=f", 200, `f({"data":"h","offset":0})`},
		{"/files/read", 400, "Expecting 'path=value' in query.\n"},
		{"/files/read?path=/sandbox/stdout&offset=x", 400, "Failed to parse offset: Failed to convert 'x' to number.\n"},
		{"/files/read?path=/sandbox/stdout&offset=-2", 400, "Negative offset provided: -2.\n"},
		{"/files/read?path=/sandbox/stdout&offset=0&length=-2", 400, "Negative length provided: -2.\n"},
		{"/files/read?path=/sandbox/sub&offset=0", 400, "Cannot read a directory.\n"},
		{"/files/read?path=/nope", 404, ""},
		{"/files/browse", 400, "Expecting 'path=value' in query.\n"},
		{"/files/browse?path=/sandbox/sub/empty", 200, "[]"},
		{"/files/browse?path=/sandbox/up", 400, "'/sandbox/up' is inaccessible.\n"},
		{"/files/download?path=/sandbox/stdout", 200, "hello\nworld\n"},
		{"/files/download?path=/sandbox/sub", 400, "Cannot download a directory.\n"},
		{"/files/download?path=/nope", 404, "404 Not Found."},
		{"/files/nope", 404, "404 Not Found."},
	} {
		if w := get(m, c.target); w.Code != c.status || w.Body.String() != c.body {
			t.Errorf("%s: %d %q", c.target, w.Code, w.Body)
		}
	}
	compare(t, "errors/files_browse.txt", func(w http.ResponseWriter) {
		m.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/files/browse?path=/", http.NoBody))
	})
}

func TestBrowsedEntry(t *testing.T) {
	files, _ := sandbox(t)
	w := get(filesMux(files), "/files/browse?path="+url.QueryEscape("/sandbox/sub/"))
	var list []map[string]any
	must(t, json.Unmarshal(w.Body.Bytes(), &list))
	if len(list) != 2 || list[0]["path"] != "/sandbox/sub/<x>.html" || list[0]["mode"] != "-rw-r-----" || list[0]["size"] != 1e5 {
		t.Errorf("%s", w.Body)
	}
	if !strings.HasPrefix(w.Body.String(), `[{"gid":`) || !strings.Contains(w.Body.String(), `.0,"nlink":1,"path":"/sandbox/sub/<x>.html","size":100000,"uid":`) {
		t.Errorf("%s", w.Body)
	}
}

// What a task wrote is never run by a browser as a page of ours.
func TestDownloadsAreNotRun(t *testing.T) {
	files, _ := sandbox(t)
	w := get(filesMux(files), "/files/download?path="+url.QueryEscape("/sandbox/sub/<x>.html"))
	for header, want := range map[string]string{
		"Content-Type":            "application/octet-stream",
		"Content-Disposition":     `attachment; filename="<x>.html"`,
		"X-Content-Type-Options":  "nosniff",
		"Content-Security-Policy": "sandbox; default-src 'none'",
		"Content-Length":          "100000",
	} {
		if got := w.Header().Get(header); got != want {
			t.Errorf("%s: %q; want %q", header, got, want)
		}
	}
}

func TestGoldenFilesDebug(t *testing.T) {
	var want map[string]string
	must(t, json.Unmarshal(golden.Read(t, "master/files_debug.json"), &want))
	file := filepath.Join(t.TempDir(), "log")
	must(t, os.WriteFile(file, nil, 0o600))
	files := &httpd.Files{}
	for virtual := range want {
		must(t, files.Attach(virtual, file, nil))
	}
	text := `{"/master/log":"` + file + `"}`
	if w := get(filesMux(files), "/files/debug"); w.Body.String() != text {
		t.Errorf("%s", w.Body)
	}
}
