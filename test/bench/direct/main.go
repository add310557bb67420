// Command direct measures what a launch would cost if the agent made containers
// itself in place of an OCI runtime: the same namespaces, mounts, rights and control
// groups, by clone, pivot_root and exec. It needs root and control groups of
// version 1.
//
//	go run ./test/bench/direct -n 100
package main

import "C"

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var (
	count   = flag.Int("n", 100, "launches")
	at      = flag.String("cgroups", "/sys/fs/cgroup", "where control groups are mounted")
	within  = flag.String("within", "", "control group, which there is in every hierarchy, that those of containers are in")
	program = "/bin/sleep"
)

func main() {
	flag.Parse()
	took, err := measure(*count)
	if err != nil {
		log.Fatal(err)
	}
	slices.Sort(took)
	var self, children syscall.Rusage
	if err := errors.Join(syscall.Getrusage(syscall.RUSAGE_SELF, &self), syscall.Getrusage(syscall.RUSAGE_CHILDREN, &children)); err != nil {
		log.Fatal(err)
	}
	cpu := time.Duration(self.Utime.Nano() + self.Stime.Nano() + children.Utime.Nano() + children.Stime.Nano())
	fmt.Printf("launch: least %v, median %v; %v of CPU time for a launch and its end\n", took[0], took[len(took)/2], cpu/time.Duration(*count))
}

func measure(n int) ([]time.Duration, error) {
	dir, err := os.MkdirTemp("", "direct")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	root, sandbox := filepath.Join(dir, "root"), filepath.Join(dir, "sandbox")
	if err := errors.Join(os.Mkdir(root, 0o711), os.Mkdir(sandbox, 0o755)); err != nil {
		return nil, err
	}
	took := make([]time.Duration, 0, n)
	for i := range n {
		start := time.Now()
		groups, err := makeGroups("direct-" + strconv.Itoa(os.Getpid()) + "-" + strconv.Itoa(i))
		if err != nil {
			return nil, err
		}
		pid, err := launch(root, sandbox, groups)
		if err != nil {
			return nil, errors.Join(err, removeGroups(groups))
		}
		took = append(took, time.Since(start))
		if err := end(pid, groups); err != nil {
			return nil, err
		}
	}
	return took, nil
}

// makeGroups makes a group in each hierarchy, with the limits of a small task.
func makeGroups(id string) ([]string, error) {
	hierarchies, err := filepath.Glob(filepath.Join(*at, "*", "cgroup.procs"))
	if err != nil {
		return nil, err
	}
	var groups []string
	for _, file := range hierarchies {
		hierarchy := filepath.Dir(file)
		if filepath.Base(hierarchy) == "unified" {
			continue
		}
		parent := filepath.Join(hierarchy, *within)
		group := filepath.Join(parent, id)
		if err := os.Mkdir(group, 0o755); err != nil {
			return groups, err
		}
		groups = append(groups, group)
		if err := limit(filepath.Base(hierarchy), parent, group); err != nil {
			return groups, err
		}
	}
	if len(groups) == 0 {
		return nil, fmt.Errorf("no control groups of version 1 in %s", *at)
	}
	return groups, nil
}

// usual are the devices that containers may use.
var usual = strings.Split("c *:* m;b *:* m;c 5:1 rwm;c 4:0 rwm;c 4:1 rwm;c 136:* rwm;c 5:2 rwm;c 5:0 rwm;c 10:200 rwm;c 1:3 rwm;c 1:5 rwm;c 1:7 rwm;c 1:8 rwm;c 1:9 rwm", ";")

func limit(controller, parent, group string) error {
	var failed error
	set := func(file, value string) {
		failed = errors.Join(failed, os.WriteFile(filepath.Join(group, file), []byte(value), 0o644))
	}
	switch controller {
	case "cpu":
		set("cpu.shares", "102")
	case "memory":
		set("memory.limit_in_bytes", "33554432")
		set("memory.soft_limit_in_bytes", "33554432")
	case "pids":
		set("pids.max", "4096")
	case "devices":
		set("devices.deny", "a")
		for _, device := range usual {
			set("devices.allow", device)
		}
	case "cpuset":
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			text, err := os.ReadFile(filepath.Join(parent, file))
			failed = errors.Join(failed, err)
			set(file, string(text))
		}
	}
	return failed
}

// launch returns when the program runs.
func launch(root, sandbox string, groups []string) (int, error) {
	ready, running, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer ready.Close()
	args := slices.Concat([]string{"direct", root, sandbox}, groups, []string{"--", program, "1000"})
	pid, err := syscall.ForkExec("/proc/self/exe", args, &syscall.ProcAttr{Env: []string{"PATH=/bin"}, Files: []uintptr{0, 1, 2, running.Fd()}})
	running.Close()
	if err != nil {
		return 0, err
	}
	_, _ = ready.Read(make([]byte, 1)) // ends when the program was started, or the shim is gone
	return pid, nil
}

func end(pid int, groups []string) error {
	text, err := os.ReadFile(filepath.Join(groups[0], "cgroup.procs"))
	if err != nil {
		return err
	}
	task, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("the program is not in its groups: %w", err)
	}
	var status syscall.WaitStatus
	err = syscall.Kill(task, syscall.SIGKILL)
	_, failed := syscall.Wait4(pid, &status, 0, nil)
	return cmp.Or(errors.Join(err, failed), removeGroups(groups))
}

func removeGroups(groups []string) error {
	var failed error
	for _, group := range groups {
		failed = errors.Join(failed, syscall.Rmdir(group))
	}
	return failed
}
