// Package kernel runs tests of other packages in a virtual machine, on a kernel of
// Debian's, for what the machine that tests run on need not have: control groups of
// version 2 alone, and an XFS that counts projects.
//
// By default it runs those whose time is bounded where every instruction is emulated.
// With more patience:
//
//	go test ./test/kernel -v -timeout 1h -args -kernel.run='./internal/launcher/oci -test.run=TestSuite'
package kernel

import (
	"flag"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

var own = flag.String("kernel.run", "", "run the tests of this package inside, with these flags, and not the usual ones")

// inside is what is run by default: a package, and the flags of its test.
func inside() [][]string {
	if *own != "" {
		return [][]string{strings.Fields(*own)}
	}
	return [][]string{
		{"./internal/xfs", "-test.v"},
	}
}

func TestInside(t *testing.T) {
	m := needMachine(t)
	within := 4 * time.Minute
	if *own != "" {
		within = time.Hour
	}
	jobs := m.build(t, inside())
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
			case !ended || status != "0":
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
	for _, test := range tests {
		pkg, flags := test[0], test[1:]
		name := filepath.Base(pkg)
		args = append(args, pkg)
		jobs = append(jobs, job{name, filepath.Join(root, pkg), append([]string{filepath.Join(m.dir, name+".test")}, flags...)})
	}
	build := exec.Command("go", args...)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return jobs
}
