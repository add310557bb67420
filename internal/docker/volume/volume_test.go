package volume

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
)

// place is a folder of plugins, with one that counts and says yes to all.
type place struct {
	t       *testing.T
	dir     string
	folders Folders
	mu      sync.Mutex
	calls   []string
	// instead, if it is there, answers in place of the plugin.
	instead map[string]http.HandlerFunc
}

func newPlace(t *testing.T) *place {
	t.Helper()
	dir, err := os.MkdirTemp("", "plugins") //nolint:usetesting // short: the path of a socket may not be long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &place{t: t, dir: dir, instead: map[string]http.HandlerFunc{}}
	p.folders = Folders{Sockets: filepath.Join(dir, "run"), Specs: []string{filepath.Join(dir, "etc"), filepath.Join(dir, "lib")}}
	for _, dir := range append(p.folders.Specs, p.folders.Sockets) {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p.serve(filepath.Join(p.folders.Sockets, "d.sock"))
	return p
}

// serve has the plugin listen at a socket.
func (p *place) serve(path string) {
	p.t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		p.t.Fatal(err)
	}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: p}}
	server.Start()
	p.t.Cleanup(server.Close)
}

func (p *place) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := filepath.Base(r.URL.Path)
	var asked struct {
		Name, ID string
		Opts     map[string]string
	}
	body, _ := io.ReadAll(r.Body) // before an answer: then the end of the caller is seen
	_ = json.Unmarshal(body, &asked)
	p.mu.Lock()
	p.calls = append(p.calls, strings.TrimSpace(fmt.Sprint(method, " ", asked.Name, " ", asked.ID)))
	instead := p.instead[method]
	p.mu.Unlock()
	switch {
	case instead != nil:
		instead(w, r)
	case method == "Plugin.Activate":
		fmt.Fprint(w, `{"Implements": ["NetworkDriver", "VolumeDriver"]}`)
	case method == "VolumeDriver.Mount":
		fmt.Fprintf(w, `{"Mountpoint": "/mnt/%s"}`, asked.Name)
	default:
		fmt.Fprint(w, `{}`)
	}
}

// answer has a method answered by a text from now on, "" for what it should be.
func (p *place) answer(method, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.instead, method)
	if text != "" {
		p.instead[method] = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
	}
}

// had returns the calls of methods that there were, and forgets them.
func (p *place) had(methods ...string) (calls []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, call := range p.calls {
		method, _, _ := strings.Cut(call, " ")
		if slices.Contains(methods, strings.TrimPrefix(method, "VolumeDriver.")) {
			calls = append(calls, strings.TrimPrefix(call, "VolumeDriver."))
		}
	}
	p.calls = nil
	return calls
}

func (p *place) open() *Volumes {
	p.t.Helper()
	v, err := Open(Config{Dir: filepath.Join(p.dir, "state"), Folders: p.folders, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { v.lock.Close() })
	return v
}

// again is the next life of an agent that was killed, which finds that some containers
// run. It wants orphans to be the others.
func (p *place) again(v *Volumes, runs func(ids.ContainerID) bool, orphans ...ids.ContainerID) *Volumes {
	p.t.Helper()
	v.lock.Close()
	v = p.open()
	if got, err := v.Recover(runs, false); err != nil || !slices.Equal(got, orphans) {
		p.t.Fatal(got, err)
	}
	return v
}

// none says that a container does not run.
func none(ids.ContainerID) bool { return false }

// unheard mounts a volume for a container, but the agent never hears of it.
func (p *place) unheard(v *Volumes, id ids.ContainerID, name string) {
	p.t.Helper()
	p.answer("VolumeDriver.Mount", "{")
	if _, err := v.Mount(p.t.Context(), id, volumes(name)); err == nil {
		p.t.Fatal("no error")
	}
	p.answer("VolumeDriver.Mount", "")
}

// age has a container's record be so old that the plugin is done with what it says.
func (p *place) age(v *Volumes, id ids.ContainerID) {
	p.t.Helper()
	if err := os.Chtimes(filepath.Join(v.dir(id), "volumes"), time.Time{}, time.Now().Add(-mountTimeout)); err != nil {
		p.t.Fatal(err)
	}
}

// unmounts wants so many calls to unmount since calls were last looked at.
func (p *place) unmounts(want int) {
	p.t.Helper()
	if got := p.had("Unmount"); len(got) != want {
		p.t.Errorf("%q, want %d", got, want)
	}
}

// nothingLeft looks for records.
func (p *place) nothingLeft(v *Volumes) {
	p.t.Helper()
	if entries, err := os.ReadDir(v.cfg.Dir); err != nil || len(entries) > 0 {
		p.t.Errorf("left: %v, %v", entries, err)
	}
}

func volumes(names ...string) (all []*mesos.Volume_Source_DockerVolume) {
	for _, name := range names {
		driver, name, _ := strings.Cut(name, "/")
		all = append(all, &mesos.Volume_Source_DockerVolume{Driver: &driver, Name: &name})
	}
	return all
}

func (p *place) mount(v *Volumes, id ids.ContainerID, names ...string) {
	p.t.Helper()
	at, err := v.Mount(p.t.Context(), id, volumes(names...))
	if err != nil || len(at) != len(names) {
		p.t.Fatal(at, err)
	}
}

func (p *place) release(v *Volumes, id ids.ContainerID) {
	p.t.Helper()
	if err := v.Release(id); err != nil {
		p.t.Fatal(err)
	}
}

// TestShared: a volume is mounted for the first and unmounted after the last, with the
// same id, whichever of them that is.
func TestShared(t *testing.T) {
	p := newPlace(t)
	v := p.open()
	p.mount(v, "a", "d/x", "d/y")
	p.mount(v, "b", "d/x")
	mounts := p.had("Mount")
	p.release(v, "a")
	if got := p.had("Unmount"); len(mounts) != 2 || len(got) != 1 || got[0] != "Unmount"+strings.TrimPrefix(mounts[1], "Mount") {
		t.Errorf("%q, then %q", mounts, got)
	}
	p.mount(v, "c", "d/x")
	p.release(v, "b")
	p.release(v, "c")
	p.release(v, "c")
	if got := p.had("Mount", "Unmount"); len(got) != 1 || got[0] != "Unmount"+strings.TrimPrefix(mounts[0], "Mount") {
		t.Errorf("%q, then %q", mounts, got)
	}
	p.nothingLeft(v)
}

// TestManyAtOnce has many containers come and go: never is a volume mounted twice, nor
// unmounted while somebody uses it.
func TestManyAtOnce(t *testing.T) {
	p := newPlace(t)
	v := p.open()
	var work sync.WaitGroup
	for i := range 40 {
		work.Go(func() {
			id := ids.ContainerID(fmt.Sprint("c", i))
			if _, err := v.Mount(t.Context(), id, volumes("d/x", fmt.Sprint("d/own", i))); err != nil {
				t.Error(err)
			}
			if err := v.Release(id); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	mounted := map[string]bool{}
	for _, call := range p.had("Mount", "Unmount") {
		fields := strings.Fields(call)
		if is := fields[0] == "Mount"; mounted[fields[1]] == is {
			t.Fatalf("%s of a volume for which that is %t already", call, is)
		} else {
			mounted[fields[1]] = is
		}
	}
	for name, is := range mounted {
		if is {
			t.Errorf("%s is still mounted", name)
		}
	}
	if len(v.locks) > 0 || len(v.users) > 0 {
		t.Errorf("remembered: %v, %v", v.locks, v.users)
	}
}

// TestCrash ends the agent's life before and after each call: what follows unmounts what
// was mounted, and keeps what is used.
func TestCrash(t *testing.T) {
	p := newPlace(t)
	v := p.open()
	p.mount(v, "runs", "d/x")
	p.mount(v, "ends", "d/x", "d/y")
	p.unheard(v, "dies", "d/z")
	mounts := p.had("Mount")
	v = p.again(v, func(id ids.ContainerID) bool { return id == "runs" }, "dies", "ends")
	p.mount(v, "new", "d/x", "d/y") // y is the orphan's still
	p.release(v, "dies")
	p.release(v, "ends")
	if got := p.had("Mount", "Unmount"); len(got) != 1 || got[0] != "Unmount"+strings.TrimPrefix(mounts[2], "Mount") {
		t.Errorf("%q, then %q", mounts, got)
	}
	p.release(v, "new")
	p.release(v, "runs")
	p.unmounts(2)
}

// TestLate: a plugin may be about to mount what the agent's life before has asked for. As
// long as it may be, the agent does not take its word that nothing is mounted.
func TestLate(t *testing.T) {
	p := newPlace(t)
	v := p.open()
	p.unheard(v, "dies", "d/z")
	v = p.again(v, none, "dies")
	p.answer("VolumeDriver.Unmount", `{"Err": "it is not mounted"}`)
	p.release(v, "dies")
	p.mount(v, "joins", "d/z") // meanwhile
	v.waits.Wait()
	if got := p.had("Mount", "Unmount"); !strings.HasPrefix(got[len(got)-1], "Mount") {
		t.Errorf("unmounted under who uses it: %q", got)
	}
	p.answer("VolumeDriver.Unmount", "")
	p.release(v, "joins")
	p.unmounts(1)

	p.unheard(v, "dies", "d/z")
	v = p.again(v, none, "dies")
	refused := 0
	p.instead["VolumeDriver.Unmount"] = func(w http.ResponseWriter, _ *http.Request) {
		if refused++; refused < 3 {
			fmt.Fprint(w, `{"Err": "it is not mounted"}`)
		} else {
			fmt.Fprint(w, `{}`)
		}
	}
	p.release(v, "dies")
	v.waits.Wait()
	if refused != 3 {
		t.Errorf("asked %d times", refused)
	}

	p.answer("VolumeDriver.Unmount", `{"Err": "it is not mounted"}`)
	p.unheard(v, "never", "d/z")
	p.age(v, "never")
	v = p.again(v, none, "never")
	p.had()
	p.release(v, "never")
	p.unmounts(1)
}

// TestNested: what an earlier life was about to mount for a container in another is
// unmounted with that.
func TestNested(t *testing.T) {
	p := newPlace(t)
	v := p.open()
	p.mount(v, "pod.a", "d/x")
	v = p.again(v, func(id ids.ContainerID) bool { return id.Root() == "pod" })
	p.release(v, "po")
	p.unmounts(0)
	p.release(v, "pod")
	p.unmounts(1)
}

// TestUnmountedUnseen: the agent dies when the plugin has unmounted something, before it
// has heard of that.
func TestUnmountedUnseen(t *testing.T) {
	p := newPlace(t)
	v := p.open()
	p.mount(v, "a", "d/x")
	p.instead["VolumeDriver.Unmount"] = func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	if err := v.Release("a"); err == nil {
		t.Fatal("no error")
	}
	p.age(v, "a")
	v = p.again(v, none, "a")
	p.answer("VolumeDriver.Unmount", `{"Err": "it is not mounted"}`)
	p.release(v, "a")
	p.nothingLeft(v)
}

// TestReboot: after the machine was booted anew nothing is mounted, whatever is written
// down, so it is asked for again.
func TestReboot(t *testing.T) {
	p := newPlace(t)
	v := p.open()
	p.mount(v, "a", "d/x")
	before := p.had("Mount")
	path := filepath.Join(v.dir("a"), "volumes")
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte(strings.ReplaceAll(string(text), v.boot, "another")), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	v = p.again(v, func(ids.ContainerID) bool { return true })
	p.mount(v, "b", "d/x")
	if got := p.had("Mount"); !slices.Equal(got, before) {
		t.Errorf("%q, then %q", before, got)
	}
}

// TestMesosFile: what Mesos's agent has written down is unmounted too, but not while its
// containers run: its files do not say which are in others.
func TestMesosFile(t *testing.T) {
	for _, runs := range []bool{false, true} {
		p := newPlace(t)
		v := p.open()
		for id, text := range map[string]string{"a": `{"volumes":[{"driver":"d","name":"x"}]}`, "empty": ""} {
			if err := errors.Join(os.Mkdir(v.dir(ids.ContainerID(id)), 0o755), os.WriteFile(filepath.Join(v.dir(ids.ContainerID(id)), "volumes"), []byte(text), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		orphans, err := v.Recover(none, runs)
		if want := map[bool]int{false: 2, true: 1}[runs]; err != nil || len(orphans) != want {
			t.Fatalf("%v, %v", orphans, err)
		}
		for _, id := range orphans {
			p.release(v, id)
		}
		if got := p.had("Unmount"); runs != (len(got) == 0) || !runs && got[0] != "Unmount x" {
			t.Errorf("%q", got)
		}
	}
}

// TestUnmountFails: what could not be unmounted is tried again in the next life, and the
// volume can be used meanwhile.
func TestUnmountFails(t *testing.T) {
	p := newPlace(t)
	v := p.open()
	p.mount(v, "a", "d/x")
	p.answer("VolumeDriver.Unmount", `{"Err": "it is busy"}`)
	if err := v.Release("a"); err == nil || !strings.Contains(err.Error(), "'d' failed to unmount volume 'x': it is busy") {
		t.Fatal(err)
	}
	p.answer("VolumeDriver.Unmount", "")
	p.mount(v, "b", "d/x")
	p.release(v, "b")
	p.unmounts(2)
	v = p.again(v, none, "a")
	p.release(v, "a")
	p.unmounts(1)
}

// TestKilled: who waits for a plugin can be killed at once; what the plugin is busy with
// is unmounted when it is done, and not before.
func TestKilled(t *testing.T) {
	p := newPlace(t)
	v := p.open()
	asked, done := make(chan struct{}), make(chan struct{})
	p.instead["VolumeDriver.Mount"] = func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-done
		fmt.Fprint(w, `{"Mountpoint": "/mnt/x"}`)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-asked
		cancel(errors.New("killed"))
	}()
	if _, err := v.Mount(ctx, "a", volumes("d/x", "d/never")); err == nil || err.Error() != "killed" {
		t.Fatal(err)
	}
	released := make(chan error)
	go func() { released <- v.Release("a") }()
	close(done)
	if err := <-released; err != nil {
		t.Fatal(err)
	}
	got := p.had("Mount", "Unmount")
	if len(got) != 2 || !strings.HasPrefix(got[0], "Mount x") || !strings.HasPrefix(got[1], "Unmount x") {
		t.Errorf("%q", got)
	}
}

// TestAnswers is what a plugin can do wrong, and what becomes of it.
func TestAnswers(t *testing.T) {
	endless := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write([]byte(strings.Repeat(" ", 64<<10))); err != nil {
				return
			}
		}
	}
	never := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	text := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, text)
		}
	}
	for _, tc := range []struct {
		method  string
		answer  http.HandlerFunc
		want    string
		unmount bool // what may be mounted is unmounted
	}{
		{"Plugin.Activate", text(200, `{"Implements": ["NetworkDriver"]}`), "'d' failed to activate: it is no plugin of volumes", false},
		{"Plugin.Activate", never, "'mount' timed out in 3secs", false},
		{"VolumeDriver.Create", text(200, `{"Err": "no room"}`), "'d' failed to find or make volume 'x': no room", false},
		{"VolumeDriver.Mount", text(200, `{"Err": "no \u0007 \ud800 way", "Mountpoint": "/mnt"}`), "no \a \uFFFD way", false},
		{"VolumeDriver.Mount", text(500, `gone wrong`), "500 Internal Server Error gone wrong", false},
		{"VolumeDriver.Mount", text(500, `{"Err": "gone wrong"}`), "volume 'x': gone wrong", false},
		{"VolumeDriver.Mount", text(404, ``), "404 Not Found", false},
		{"VolumeDriver.Mount", http.RedirectHandler("http://elsewhere/", http.StatusFound).ServeHTTP, "302 Found", false},
		{"VolumeDriver.Mount", text(200, ``), "its answer is not what it should be", true},
		{"VolumeDriver.Mount", text(200, `[]`), "its answer is not what it should be", true},
		{"VolumeDriver.Mount", text(200, `{"Mountpoint": 3}`), "its answer is not what it should be", true},
		{"VolumeDriver.Mount", text(200, `{}`), "no absolute path", true},
		{"VolumeDriver.Mount", text(200, `{"Mountpoint": "/a/../../etc"}`), "no absolute path", true},
		{"VolumeDriver.Mount", text(200, `{"Mountpoint": "/a\u0000"}`), "no absolute path", true},
		{"VolumeDriver.Mount", text(200, `{"Mountpoint": "//."}`), "at '/'", true},
		{"VolumeDriver.Mount", endless, "its answer has more than 1048576 bytes", true},
		{"VolumeDriver.Mount", never, "'mount' timed out in 3secs", true},
		{"VolumeDriver.Mount", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF", true},
	} {
		t.Run(tc.method+" "+tc.want, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			v := p.open()
			p.instead[tc.method] = tc.answer
			if tc.method == "VolumeDriver.Create" {
				p.answer("VolumeDriver.Get", `{"Err": "there is none"}`)
			}
			if strings.Contains(tc.want, "timed out") {
				v.cfg.MountTimeout = 3 * time.Second
			}
			_, err := v.Mount(t.Context(), "a", volumes("d/x"))
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "plugin 'd'") {
				t.Errorf("%v, want %q", err, tc.want)
			}
			p.release(v, "a")
			if got := p.had("Unmount"); tc.unmount != (len(got) == 1) {
				t.Errorf("%v: unmounted %q", err, got)
			}
		})
	}
}

// TestFound: plugins are where the Docker Engine looks for them.
func TestFound(t *testing.T) {
	p := newPlace(t)
	v := p.open()
	tcp, secure := httptest.NewServer(p), httptest.NewTLSServer(p)
	t.Cleanup(tcp.Close)
	t.Cleanup(secure.Close)
	ca := filepath.Join(p.dir, "ca.pem")
	sub := filepath.Join(p.folders.Sockets, "sub")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	p.serve(filepath.Join(sub, "sub.sock"))
	etc, lib := p.folders.Specs[0], p.folders.Specs[1]
	for path, text := range map[string]string{
		ca:                                string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})),
		filepath.Join(lib, "plain.spec"):  "tcp://" + tcp.Listener.Addr().String() + "\n",
		filepath.Join(etc, "unix.spec"):   "unix://" + filepath.Join(p.folders.Sockets, "d.sock"),
		filepath.Join(etc, "tls.json"):    fmt.Sprintf(`{"Name": "tls", "Addr": "https://%s", "TLSConfig": {"CAFile": %q}}`, secure.Listener.Addr(), ca),
		filepath.Join(etc, "nocert.json"): fmt.Sprintf(`{"Addr": "https://%s"}`, secure.Listener.Addr()),
		filepath.Join(etc, "ftp.spec"):    "ftp://nowhere",
		filepath.Join(etc, "bad.json"):    "{",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for driver, want := range map[string]string{
		"d": "", "sub": "", "plain": "", "unix": "", "tls": "",
		"nocert":  "certificate",
		"ftp":     "none of unix, tcp, http and https",
		"bad":     "bad.json",
		"none":    "plugin 'none' is not there: start it on this agent; it would have a socket none.sock in " + p.folders.Sockets,
		"../run":  "no name of",
		"..":      "no name of",
		"":        "no name of",
		"sub/sub": "no name of",
	} {
		id := ids.ContainerID("c" + strings.NewReplacer("/", "-", ".", "-").Replace(driver))
		_, err := v.Mount(t.Context(), id, []*mesos.Volume_Source_DockerVolume{{Driver: &driver, Name: new("x" + driver)}})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", driver, err, want)
		}
		p.release(v, id)
	}
}

func TestOneAgent(t *testing.T) {
	p := newPlace(t)
	v := p.open()
	if _, err := Open(v.cfg); err == nil || !strings.Contains(err.Error(), "another agent's") {
		t.Error(err)
	}
}

func TestCheck(t *testing.T) {
	undriven := volumes("d/x")
	undriven[0].Driver = nil
	for want, wanted := range map[string][]*mesos.Volume_Source_DockerVolume{
		"": volumes("d/x", "e/x", "d/y"),
		"Found duplicate docker volume with driver 'd' and name 'x'":         volumes("d/x", "d/x"),
		"The volume driver is not specified for volume 'x' with container a": undriven,
		"a Docker volume needs a name":                                       volumes("d/"),
	} {
		if err := Check("a", wanted); fmt.Sprint(err) != map[bool]string{true: "<nil>", false: want}[want == ""] {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// FuzzAnswer: whatever a plugin says, what is taken from it can be shown and is a place.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{`{"Mountpoint": "/mnt/x"}`, `{"Err": "no"}`, `{"Implements": ["VolumeDriver"]}`, `[`, "\xff", `{"Mountpoint": "/a/../b"}`} {
		f.Add(200, []byte(text))
		f.Add(500, []byte(text))
	}
	f.Fuzz(func(t *testing.T, status int, text []byte) {
		a, err := parse(status, text)
		if err != nil {
			if shown := err.Error(); shown == "" || len(shown) > errorMax+200 {
				t.Errorf("%d bytes of error", len(shown))
			}
			return
		}
		if status != http.StatusOK {
			t.Errorf("status %d is no error", status)
		}
		if at := a.Mountpoint; checkMountpoint(at) == nil {
			if clean := filepath.Clean(at); !filepath.IsAbs(clean) || clean == "/" || filepath.Join("/root", at) != "/root"+clean {
				t.Errorf("%q is taken for a place", at)
			}
		}
	})
}

// FuzzRecord: whatever is in a file, it is read or refused, and reads the same when it is
// written again.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"volumes":[{"driver":"d","name":"x","id":"1","mountpoint":"/mnt/x"}],"boot":"b"}`))
	f.Add([]byte(`{"volumes":[{"driver":"d","name":"x"}]}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, text []byte) {
		v := &Volumes{cfg: Config{Dir: t.TempDir()}, boot: "b"}
		uses, err := v.parse(text)
		if err != nil {
			return
		}
		u := &user{}
		if err := v.note("a", u, uses); err != nil {
			t.Fatal(err)
		}
		again, err := v.read("a")
		if err != nil || !slices.Equal(again.uses, uses) {
			t.Errorf("%v, then %v, %v", uses, again, err)
		}
	})
}

// TestOptions: of two with the same key the last counts, as with Mesos.
func TestOptions(t *testing.T) {
	w := volumes("d/x")[0]
	w.DriverOptions = &mesos.Parameters{Parameter: []*mesos.Parameter{
		{Key: new("size"), Value: new("1")}, {Key: new("size"), Value: new("2")}, {Key: new("a=b"), Value: new("")},
	}}
	if got := options(w); !maps.Equal(got, map[string]string{"size": "2", "a=b": ""}) {
		t.Error(got)
	}
}
