package chaos

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// clockEnv names a file with the seconds by which a process's clock is wrong; it
// may be changed at any time.
const clockEnv = "CHAOS_CLOCK"

// wrong are the seconds by which clocks jump.
var wrong = []int{-1, 1, -60, 60, -3600, 3600, -10 * 86400, 10 * 86400}

// adjustable is what is added to the program: it keeps the clock as the file has
// it.
const adjustable = `package main

import (
	"os"
	"strconv"
	"time"
)

func init() {
	path := os.Getenv("` + clockEnv + `")
	if path == "" {
		return
	}
	adjust := func() {
		if text, err := os.ReadFile(path); err == nil {
			if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
				time.Jump.Store(n)
			}
		}
	}
	adjust()
	go func() {
		for range time.Tick(20 * time.Millisecond) {
			adjust()
		}
	}()
}
`

// jump is what is added to the package time.
const jump = `package time

import "sync/atomic"

// Jump is by how many seconds the wall clock is wrong.
var Jump atomic.Int64
`

// TestChaosClock mistreats a cluster whose machines' clocks jump, by up to ten
// days, as well. The program is the real one, built with a package time that reads
// the wall clock wrong: the clock of the machine is not the test's to set. What
// files say of their times stays right, as when a clock is set.
func TestChaosClock(t *testing.T) {
	alone(t, func() { mistreat(t, embedded, buildWithClock(t)) })
}

// buildWithClock builds the program with a clock that can be set.
func buildWithClock(t *testing.T) string {
	t.Helper()
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	std := filepath.Join(strings.TrimSpace(string(goroot)), "src", "time")
	source, err := os.ReadFile(filepath.Join(std, "time.go"))
	if err != nil {
		t.Fatal(err)
	}
	const reads = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	if strings.Count(string(source), reads) != 1 {
		t.Fatal("time.Now of this Go is another: the test has to learn how it reads the clock")
	}
	replace := map[string]string{}
	for path, text := range map[string]string{
		filepath.Join(std, "time.go"):                   strings.Replace(string(source), reads, reads+"\tsec += Jump.Load()\n", 1),
		filepath.Join(std, "jump.go"):                   jump,
		filepath.Join(root, "cmd", "meseta", "jump.go"): adjustable,
	} {
		replace[path] = filepath.Join(dir, strconv.Itoa(len(replace))+".go")
		write(t, replace[path], text)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "overlay.json"), string(overlay))
	path := filepath.Join(dir, "meseta")
	build := exec.Command("go", "build", "-trimpath", "-overlay", filepath.Join(dir, "overlay.json"), "-o", path, "./cmd/meseta")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// misset sets a member's clock wrong.
func (m *monkey) misset(to *member) {
	m.note("wrong clock " + to.kind)
	m.set(to, wrong[m.rand.IntN(len(wrong))])
	m.later(&member{}, func() { m.set(to, 0) })
}

func (m *monkey) set(to *member, seconds int) {
	if err := writeWhole(to.clock(), strconv.Itoa(seconds)); err != nil {
		m.w.t.Error(err)
	}
}

func (to *member) clock() string { return to.work + ".clock" }

func writeWhole(path, text string) error {
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
