// Package kernel runs tests of other packages in a virtual machine, on a kernel of
// Debian's, for what the machine that tests run on need not have: control groups of
// version 2 alone, an XFS that counts projects, and systemd.
//
// By default it runs those whose time is bounded where every instruction is emulated.
// With more patience all that are for such a kernel, or one's own choice:
//
//	go test ./test/kernel -run TestInside -v -timeout 3h -args -kernel.all
//	go test ./test/kernel -run TestInside -v -timeout 1h -args -kernel.run='./internal/launcher/oci -test.run=TestSuite'
package kernel

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

var (
	own = flag.String("kernel.run", "", "run the tests of this package inside, with these flags, and not the usual ones")
	all = flag.Bool("kernel.all", false, "run all tests inside that are for such a kernel, also where every instruction is emulated")
)

const (
	launchers = "./internal/launcher/oci"
	networks  = "./internal/cni"
	here      = "./test/kernel"
	whole     = "./test/e2e"
)

// inside is what is run: a package, and the flags of its test. Emulated, a container
// takes seconds, so there it is one runtime that shows what each isolator does, and of
// the others what they do themselves.
func inside(accel string) [][]string {
	switch {
	case accel == "kvm" || *all:
		return [][]string{
			{"./internal/xfs"},
			{here},
			{launchers},
			{networks, "-test.run=^Test(Bridge|Ptp|Macvlan|SeveralNetworks|PortMappings)$"},
			{whole, "-test.run=^Test(Networks|OwnLimitOfTask)$"},
		}
	default:
		return [][]string{
			{"./internal/xfs"},
			{here},
			{launchers, "-test.run=^Test(MemoryHog|WithinMemory.*|CPUQuota|CPUShares|ForkBomb|Update|TaskLimits|Statistics|Devices|Blkio|GroupsForOthers|MemoryPressure|StallsOfKernel)$/^crun$"},
			{launchers, "-test.run=^Test(SharedNamespaces|PodIsHeldToItsMemory|NothingLeftOfPod|Network)$/^crun$"},
			{launchers, "-test.run=^Test(Update|Devices)$/^runc$"},
			{launchers, "-test.run=^TestSuite$/^runc$/^(exit_statuses_are_raw|kill_takes_daemons_too|adopt|exec|user)$"},
			{launchers, "-test.run=^Test(Update|TaskLimits|Devices)$/^lxc$"},
			{networks, "-test.run=^Test(Bridge|Ptp|Macvlan|PortMappings)$"},
		}
	}
}

func TestInside(t *testing.T) {
	if os.Getenv("MESETA_INSIDE") != "" {
		t.Skip("this is the machine")
	}
	m := needMachine(t)
	m.test(t, inside(m.accel))
}

// test runs tests of packages inside, and says of each how it ended.
func (m *machine) test(t *testing.T, tests [][]string) {
	within := 15 * time.Minute // bounds a hang
	if *own != "" || *all {
		within = 3 * time.Hour
	}
	if *own != "" {
		tests = [][]string{strings.Fields(*own)}
	}
	jobs := m.build(t, tests)
	began := time.Now()
	console := m.run(t, within, jobs)
	t.Logf("Linux %s, with %s: %v", m.version, m.accel, time.Since(began).Round(time.Second))
	for _, j := range jobs {
		t.Run(j.name, func(t *testing.T) {
			_, output, begun := strings.Cut(console, "\n=== begin "+j.name+"\n")
			output, rest, ended := strings.Cut(output, "\n=== end "+j.name+" ")
			status, _, _ := strings.Cut(rest, "\n")
			switch {
			case !begun:
				t.Fatalf("it was not begun:\n%s", console)
			case !ended || status != "0" || strings.Contains(output, "no tests to run"):
				t.Errorf("it ended with %q", status)
				fallthrough
			case testing.Verbose():
				t.Logf("%s", output)
			}
		})
	}
}

// build builds the tests of packages, in the machine's folder, and returns the jobs of
// running them.
func (m *machine) build(t *testing.T, tests [][]string) []job {
	t.Helper()
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"test", "-c", "-o", m.dir + "/"}
	var jobs []job
	for i, test := range tests {
		pkg, name := test[0], filepath.Base(test[0])
		if !slices.Contains(args, pkg) {
			args = append(args, pkg)
		}
		command := append([]string{"env", "MESETA_BINARY=" + cluster.Binary(t), filepath.Join(m.dir, name+".test"), "-test.v"}, test[1:]...)
		jobs = append(jobs, job{fmt.Sprintf("%d-%s", i+1, name), filepath.Join(root, pkg), command})
	}
	build := exec.Command("go", args...)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return jobs
}
