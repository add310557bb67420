package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// volumeVariable has a test's program be a plugin of Docker's volumes, in a folder.
const volumeVariable = "MESETA_TEST_VOLUMES"

// dockersPlugins is where the Docker Engine, and an agent, look for plugins.
const dockersPlugins = "/run/docker/plugins"

var volumePlugins atomic.Int32

// VolumePlugin is a plugin of Docker's volumes, in a process of its own: its volumes are
// folders, which it binds to where they are to be. It counts by id who uses a volume, and
// refuses to unmount what it has not mounted.
type VolumePlugin struct {
	*Process
	Driver string // its name
	Dir    string
}

// VolumesMain is to be called first in TestMain by tests that use [StartVolumePlugin].
func VolumesMain() {
	if at := os.Getenv(volumeVariable); at != "" {
		fmt.Fprintln(os.Stderr, serveVolumes(at, filepath.Join(dockersPlugins, filepath.Base(at)+".sock")))
		os.Exit(1)
	}
}

// StartVolumePlugin starts a plugin, which needs root.
func StartVolumePlugin(t *testing.T) *VolumePlugin {
	t.Helper()
	if os.Getuid() != 0 {
		Unavailable(t, "plugins of volumes need root")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &VolumePlugin{Driver: fmt.Sprintf("meseta-test-%d-%d", os.Getpid(), volumePlugins.Add(1))}
	p.Dir = filepath.Join(ownDir(t, 0), p.Driver)
	if err := errors.Join(os.MkdirAll(dockersPlugins, 0o755), os.MkdirAll(p.Dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.clean(t) })
	p.Process = Start(t, p.Driver, []string{volumeVariable + "=" + p.Dir}, self)
	p.AwaitSocket(t)
	return p
}

// AwaitSocket waits until the plugin, which may have been started again, answers.
func (p *VolumePlugin) AwaitSocket(t *testing.T) {
	t.Helper()
	Eventually(t, Patience, func() error {
		conn, err := net.Dial("unix", p.socket())
		if err == nil {
			err = conn.Close()
		}
		return err
	})
}

func (p *VolumePlugin) socket() string { return filepath.Join(dockersPlugins, p.Driver+".sock") }

// clean takes away what is left, which is an error.
func (p *VolumePlugin) clean(t *testing.T) {
	if p.Process != nil {
		p.Kill9()
	}
	if err := os.Remove(p.socket()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	mounted, _ := filepath.Glob(filepath.Join(p.Dir, "mounts", "*"))
	for _, at := range mounted {
		if syscall.Unmount(at, 0) == nil {
			t.Errorf("%s was still mounted", at)
		}
	}
}

// Data returns the folder of what is in a volume.
func (p *VolumePlugin) Data(volume string) string { return filepath.Join(p.Dir, "data", volume) }

// Calls returns the calls that the plugin has had for a volume, such as "Mount ID".
func (p *VolumePlugin) Calls(volume string) (calls []string) {
	text, _ := os.ReadFile(filepath.Join(p.Dir, "calls"))
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[1] == volume {
			calls = append(calls, strings.TrimSpace(fields[0]+" "+strings.Join(fields[2:], " ")))
		}
	}
	return calls
}

// Count returns how often a volume was asked for something.
func (p *VolumePlugin) Count(volume, method string) (n int) {
	for _, call := range p.Calls(volume) {
		if name, _, _ := strings.Cut(call, " "); name == method {
			n++
		}
	}
	return n
}

// Left says what is mounted.
func (p *VolumePlugin) Left() error {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	if strings.Contains(string(text), filepath.Join(p.Dir, "mounts")) {
		return fmt.Errorf("something is mounted in %s", p.Dir)
	}
	return nil
}

// volumeServer is the plugin's own side.
type volumeServer struct {
	dir   string
	calls *os.File
	mu    sync.Mutex
	users map[string]map[string]bool // of each volume, by id
}

// volumeRequest is what a plugin is asked.
type volumeRequest struct {
	Name, ID string
	Opts     map[string]string
}

func serveVolumes(dir, socket string) error {
	s := &volumeServer{dir: dir, users: map[string]map[string]bool{}}
	var err error
	if s.calls, err = os.OpenFile(filepath.Join(dir, "calls"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
		return err
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.recall(); err != nil {
		return err
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	return http.Serve(l, s)
}

// recall finds who uses what was mounted in an earlier life.
func (s *volumeServer) recall() error {
	text, err := os.ReadFile(filepath.Join(s.dir, "users"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(text, &s.users)
}

func (s *volumeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/Plugin.Activate" {
		answerVolume(w, J{"Implements": []string{"VolumeDriver"}})
		return
	}
	var asked volumeRequest
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil && !errors.Is(err, io.EOF) {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	method := strings.TrimPrefix(r.URL.Path, "/VolumeDriver.")
	fmt.Fprintln(s.calls, method, asked.Name, asked.ID)
	instead := ""
	if method == "Mount" {
		instead = s.misbehave(asked.Name)
	}
	if strings.Contains(instead, `"Err"`) {
		w.Write([]byte(instead))
		return
	}
	s.mu.Lock()
	answer, err := s.answer(method, &asked)
	s.mu.Unlock()
	switch {
	case err != nil:
		answerVolume(w, J{"Err": err.Error()})
	case instead != "":
		w.Write([]byte(instead))
	default:
		answerVolume(w, answer)
	}
}

func answerVolume(w http.ResponseWriter, answer J) {
	w.Header().Set("Content-Type", "application/vnd.docker.plugins.v1.2+json")
	json.NewEncoder(w).Encode(answer)
}

// misbehave does what a volume was made with options for: it is late, and says what to
// answer instead of what it should.
func (s *volumeServer) misbehave(volume string) (answer string) {
	text, _ := os.ReadFile(filepath.Join(s.dir, "data", volume+".options"))
	var options map[string]string
	_ = json.Unmarshal(text, &options)
	if late, err := time.ParseDuration(options["late"]); err == nil {
		time.Sleep(late)
	}
	return options["answer"]
}

func (s *volumeServer) answer(method string, asked *volumeRequest) (J, error) {
	data, at := filepath.Join(s.dir, "data", asked.Name), filepath.Join(s.dir, "mounts", asked.Name)
	there := true
	if _, err := os.Stat(data); err != nil {
		there = false
	}
	switch {
	case method == "Create":
		options, err := json.Marshal(asked.Opts)
		return J{}, errors.Join(err, os.MkdirAll(data, 0o755), os.WriteFile(data+".options", options, 0o644))
	case method == "Capabilities":
		return J{"Capabilities": J{"Scope": "local"}}, nil
	case method == "List":
		return J{"Volumes": []J{}}, nil
	case !there:
		return nil, fmt.Errorf("there is no volume %s", asked.Name)
	}
	switch method {
	case "Get":
		return J{"Volume": J{"Name": asked.Name, "Mountpoint": at}}, nil
	case "Path":
		return J{"Mountpoint": at}, nil
	case "Remove":
		return J{}, os.RemoveAll(data)
	case "Mount":
		return J{"Mountpoint": at}, s.mount(data, at, asked)
	case "Unmount":
		return J{}, s.unmount(at, asked)
	}
	return nil, fmt.Errorf("there is no %s", method)
}

func (s *volumeServer) mount(data, at string, asked *volumeRequest) error {
	users := s.users[asked.Name]
	if users == nil {
		users = map[string]bool{}
		s.users[asked.Name] = users
	}
	if len(users) == 0 {
		if err := errors.Join(os.MkdirAll(at, 0o755), syscall.Mount(data, at, "", syscall.MS_BIND, "")); err != nil {
			return err
		}
	}
	users[asked.ID] = true
	return s.keep()
}

func (s *volumeServer) unmount(at string, asked *volumeRequest) error {
	users := s.users[asked.Name]
	if !users[asked.ID] {
		return fmt.Errorf("%s is not mounted for %s", asked.Name, asked.ID)
	}
	if len(users) == 1 {
		if err := errors.Join(syscall.Unmount(at, 0), os.Remove(at)); err != nil {
			return err
		}
	}
	delete(users, asked.ID)
	return s.keep()
}

func (s *volumeServer) keep() error {
	text, err := json.Marshal(s.users)
	return errors.Join(err, os.WriteFile(filepath.Join(s.dir, "users"), text, 0o644))
}
