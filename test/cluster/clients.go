package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// GoClient is a set of third-party Go programs, built from the module proxy by
// the versions in a go.mod template.
type GoClient struct {
	name     string
	packages []string
	build    func() (string, error)
}

// The mesos-go programs: its examples on the v1 HTTP API and on the v0 drivers.
var (
	MesosGoV1 = goClient("mesos-go-v1",
		"github.com/mesos/mesos-go/api/v1/cmd/example-scheduler",
		"github.com/mesos/mesos-go/api/v1/cmd/example-executor")
	MesosGoV0 = goClient("mesos-go-v0",
		"github.com/mesos/mesos-go/api/v0/examples/scheduler",
		"github.com/mesos/mesos-go/api/v0/examples/executor",
		"github.com/mesos/mesos-go/api/v0/examples/zkdetect")
)

func goClient(name string, packages ...string) *GoClient {
	c := &GoClient{name: name, packages: packages}
	c.build = sync.OnceValues(c.make)
	return c
}

// Bin returns the folder of the built programs. Without the module proxy the
// test ends as Unavailable.
func (c *GoClient) Bin(t TB) string {
	t.Helper()
	bin, err := c.build()
	if err != nil {
		Unavailable(t, "%s: %v", c.name, err)
	}
	return bin
}

// make builds in the cache folder; a second time takes Go's own cache.
func (c *GoClient) make() (string, error) {
	dir, unlock, err := cache(c.name)
	if err != nil {
		return "", err
	}
	defer unlock()
	mod, err := os.ReadFile(fromRoot("test/e2e/testdata/clients", c.name, "go.mod.txt"))
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), mod, 0o644); err != nil {
		return "", err
	}
	build := exec.Command("go", append([]string{"build", "-o", "bin/"}, c.packages...)...)
	build.Dir = dir
	build.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building: %w\n%s", err, out)
	}
	return filepath.Join(dir, "bin"), nil
}

// Pymesos returns a Python interpreter that can import pymesos 0.3.15.
func Pymesos(t TB) string {
	t.Helper()
	python, err := pymesos()
	if err != nil {
		Unavailable(t, "pymesos: %v", err)
	}
	return python
}

// pymesos makes a virtual environment over Debian's Python, because the parser
// that pymesos needs no longer builds with today's; Debian patches it.
var pymesos = sync.OnceValues(func() (string, error) {
	dir, unlock, err := cache("pymesos")
	if err != nil {
		return "", err
	}
	defer unlock()
	python := filepath.Join(dir, "venv/bin/python")
	if importable(python) {
		return python, nil
	}
	setup := exec.Command(fromRoot("scripts/pymesos-venv"), filepath.Join(dir, "venv"))
	if out, err := setup.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	if !importable(python) {
		return "", fmt.Errorf("%s cannot import it", python)
	}
	return python, nil
})

func importable(python string) bool {
	return exec.Command(python, "-c", "import pymesos, addict, http_parser.http").Run() == nil
}

// cache returns a folder of that name in the cache of test clients, locked
// against other test processes until unlock is called.
func cache(name string) (dir string, unlock func(), err error) {
	dir = fromRoot("test/e2e/.clients", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", nil, err
	}
	unlock, err = lock(dir + ".lock")
	return dir, unlock, err
}

// fromRoot returns a path inside the checkout.
func fromRoot(parts ...string) string {
	root, err := Root()
	if err != nil {
		root = "."
	}
	return filepath.Join(append([]string{root}, parts...)...)
}
