package oci_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/launcher/launchertest"
	"github.com/meseta-project/meseta/internal/launcher/lxc"
	"github.com/meseta-project/meseta/internal/launcher/oci"
	"github.com/meseta-project/meseta/internal/skip"
)

// starters are those that must pass the tests: OCI runtimes, and LXC.
var starters = append(slices.Clip(runtimes), "lxc")

// runtimes are those of OCI, with systemd too where it has started the machine: one is
// that of test/kernel.
var runtimes = func() []string {
	all := slices.Clone(oci.Known)
	if _, err := os.Stat(systemdDir); err == nil {
		for _, name := range oci.Known {
			all = append(all, name+underSystemd)
		}
	}
	return all
}()

const (
	systemdDir   = "/run/systemd/system"
	underSystemd = "-systemd"
)

// needStarter skips the test on machines that cannot run containers, which the
// ones that decide are not.
func needStarter(t testing.TB, name, dir, root string, machine oci.Machine) oci.Starter {
	t.Helper()
	skip.UnlessRoot(t)
	if name == "lxc" {
		tools, err := lxc.Find(t.Context())
		if err != nil {
			skip.Lacking(t, err.Error())
		}
		if err := tools.Use(dir, machine, root); err != nil {
			t.Fatal(err)
		}
		return tools
	}
	name, systemd := strings.CutSuffix(name, underSystemd)
	runtime, err := oci.FindRuntime(t.Context(), name)
	if err != nil {
		skip.Lacking(t, err.Error())
	}
	if systemd {
		if err := runtime.UseSystemd(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	runtime.State, runtime.HideUnified = filepath.Join(dir, "state"), machine.Hybrid
	return runtime
}

// within is for machines that others use: where the test is in a group of much weight,
// what it starts is to be there as well.
var within = flag.String("within", "", "control group, in every hierarchy, that those of containers are in")

// unified is where control groups of version 2 are beside those of version 1.
const unified = "/sys/fs/cgroup/unified"

// isBelow reports whether there is a folder where that is mounted, on the machine's own
// file system, which nobody sees.
func isBelow(t testing.TB, name string) bool {
	t.Helper()
	look := exec.Command("unshare", "--mount", "sh", "-c", `umount -l "$1" && if [ -e "$1/$2" ]; then echo yes; fi`, "sh", unified, name)
	out, err := look.Output()
	if err != nil {
		t.Fatal(err)
	}
	return len(out) > 0
}

// config returns the configuration of a launcher that shares nothing with others.
func config(t testing.TB, name string) oci.Config {
	t.Helper()
	machine, err := oci.LookAround("/sys/fs/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	root, dir := filepath.Join(*within, "meseta-test-"+strconv.Itoa(os.Getpid())), t.TempDir()
	starter := needStarter(t, name, dir, root, machine)
	before := machine.Hybrid && isBelow(t, root)
	var systemd *oci.Systemd
	if strings.HasSuffix(name, underSystemd) {
		if systemd, err = oci.FindSystemd(t.Context(), systemdDir); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { // after those of the containers
		if systemd != nil {
			noUnits(t, strings.ReplaceAll(root, "-", "_"))
		}
		for _, dir := range machine.Hierarchies {
			if err := os.Remove(filepath.Join(dir, root)); err != nil && !os.IsNotExist(err) {
				t.Error(err)
			}
		}
		if machine.Hybrid && !before && isBelow(t, root) {
			t.Errorf("there is a folder %s, below the mount of %s", root, unified)
		}
	})
	return oci.Config{Starter: starter, Dir: dir, Options: oci.Options{
		Machine: machine, Isolation: oci.DefaultIsolation, CgroupRoot: root, Systemd: systemd, PidsMax: 200,
	}}
}

// noUnits checks that systemd has no unit in a slice, and ends that.
func noUnits(t testing.TB, slice string) {
	t.Helper()
	units := func() string {
		out, err := exec.Command("systemctl", "list-units", "--all", "--plain", "--no-legend", slice+"-*").CombinedOutput()
		if err != nil {
			t.Errorf("list the units: %v: %s", err, out)
		}
		return string(out)
	}
	left := units()
	for range 50 { // systemd forgets units when it has nothing else to do
		if left == "" {
			break
		}
		time.Sleep(100 * time.Millisecond)
		left = units()
	}
	if left != "" {
		t.Errorf("units are left:\n%s", left)
	}
	if out, err := exec.Command("systemctl", "stop", slice+".slice").CombinedOutput(); err != nil {
		t.Errorf("stop the slice: %v: %s", err, out)
	}
}

func open(t testing.TB, cfg oci.Config) *oci.Launcher {
	t.Helper()
	l, err := oci.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func eachStarter(t *testing.T, test func(t *testing.T, name string)) { each(t, starters, test) }

func each(t *testing.T, starters []string, test func(t *testing.T, name string)) {
	for _, name := range starters {
		t.Run(name, func(t *testing.T) { test(t, name) })
	}
}

func TestSuite(t *testing.T) {
	eachStarter(t, func(t *testing.T, name string) {
		launchertest.Suite(t, func(t *testing.T) (launcher.Launcher, func() launcher.Launcher) {
			cfg := config(t, name)
			return open(t, cfg), func() launcher.Launcher { return open(t, cfg) }
		})
	})
}
