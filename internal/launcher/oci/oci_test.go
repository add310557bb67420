package oci

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/launcher/launchertest"
)

// needRuntime skips the test on machines that cannot run containers, which the
// ones that decide are not.
func needRuntime(t testing.TB, name string) Runtime {
	t.Helper()
	missing := func(why string) {
		if os.Getenv("CI") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	if os.Getuid() != 0 {
		missing("only root can make containers")
	}
	runtime, err := FindRuntime(t.Context(), name)
	if err != nil {
		missing(err.Error())
	}
	return runtime
}

// config returns the configuration of a launcher that shares nothing with others.
func config(t testing.TB, name string) Config {
	t.Helper()
	runtime := needRuntime(t, name)
	machine, err := LookAround("/sys/fs/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	root := "meseta-test-" + strconv.Itoa(os.Getpid())
	t.Cleanup(func() { // after those of the containers
		for _, dir := range machine.Hierarchies {
			if err := os.Remove(filepath.Join(dir, root)); err != nil && !os.IsNotExist(err) {
				t.Error(err)
			}
		}
	})
	dir := t.TempDir()
	return Config{Runtime: runtime, Dir: dir, Options: Options{
		Machine: machine, Isolation: DefaultIsolation, CgroupRoot: root, PidsMax: 200,
	}}
}

func open(t testing.TB, cfg Config) *Launcher {
	t.Helper()
	l, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func eachRuntime(t *testing.T, test func(t *testing.T, name string)) {
	for _, name := range known {
		t.Run(name, func(t *testing.T) { test(t, name) })
	}
}

func TestSuite(t *testing.T) {
	eachRuntime(t, func(t *testing.T, name string) {
		launchertest.Suite(t, func(t *testing.T) (launcher.Launcher, func() launcher.Launcher) {
			cfg := config(t, name)
			return open(t, cfg), func() launcher.Launcher { return open(t, cfg) }
		})
	})
}
