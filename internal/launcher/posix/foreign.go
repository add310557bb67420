package posix

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// Foreign is a container that another kind of agent has launched: Apache Mesos's,
// whose place this one has taken. There is no shim. Its first process is the one
// whose pid that agent has written down: mesos-containerizer, which waits for the
// executor and leaves its status where a shim would, or the executor itself.
//
// What belongs to it is told by descent, by the sessions that its processes lead,
// and by its id in the names of cgroups and in variables that Mesos sets. What has
// left all four is not found.
type Foreign struct {
	*Process

	killed atomic.Bool
}

// IsForeign reports whether a process is the first of a container that another
// kind of agent has launched. One that has been given the pid since is not: it has
// nothing that names the container.
func IsForeign(pid int, id string) bool {
	return pid > 1 && pid != os.Getpid() && !isShim(pid, id) && named(pid, id)
}

// named reports whether a process, or a child of it, is marked.
func named(pid int, id string) bool {
	for _, p := range append(children(pid), pid) {
		if marked(p, id) {
			return true
		}
	}
	return false
}

// marked reports whether the name of a container is in a process's cgroups, or in
// a variable of its environment that Mesos has set: those of users may name it by
// chance, as PWD does. Who may not read that may not end the process either.
func marked(pid int, id string) bool {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	groups, err := os.ReadFile(filepath.Join(proc, "cgroup"))
	if err == nil && mentions(groups, strings.ReplaceAll(id, ".", "/mesos/")) {
		return true
	}
	environ, err := os.ReadFile(filepath.Join(proc, "environ"))
	if err != nil {
		return false
	}
	folder := strings.ReplaceAll(id, ".", "/containers/")
	for variable := range bytes.SplitSeq(environ, []byte{0}) {
		if bytes.HasPrefix(variable, []byte("MESOS_")) && mentions(variable, folder) {
			return true
		}
	}
	return false
}

// mentions reports whether name is in text, as whole parts of a path.
func mentions(text []byte, name string) bool {
	for at := 0; name != ""; at++ {
		next := bytes.Index(text[at:], []byte(name))
		if next < 0 {
			return false
		}
		at += next
		end := at + len(name)
		if (at == 0 || !partOfName(text[at-1])) && (end == len(text) || !partOfName(text[end])) {
			return true
		}
	}
	return false
}

func partOfName(c byte) bool {
	return c == '-' || c == '_' || c == '.' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// First returns the executor's pid, as far as one can tell.
func (f *Foreign) First() int {
	if first := f.Process.First(); first != 0 {
		return first
	}
	if _, zombie := sessionOf(f.pid); zombie {
		return 0
	}
	return f.pid
}

// errUnseen says that a container of another agent's has ended and that nobody has
// written down how.
var errUnseen = errors.New("nobody has seen how it ended")

// Wait blocks until the first process has ended, kills what is left, as the other
// agent would, and returns the status if that was written down.
func (f *Foreign) Wait() (status int, err error) {
	killed := int(syscall.SIGKILL)
	if status, err = f.Process.Wait(); err != nil {
		return 0, err
	}
	if err := f.kill(); err != nil {
		return 0, err
	}
	if _, known := ReadStatus(f.status); !known && !f.killed.Load() {
		return killed, fmt.Errorf("container %s: %w", f.id, errUnseen)
	}
	return status, nil
}

// Signal sends sig to every process of the container but Mesos's own, which would
// pass it on.
func (f *Foreign) Signal(sig syscall.Signal) error {
	for _, pid := range f.members(map[int]bool{}) {
		if pid == f.pid && isContainerizer(pid) {
			continue
		}
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("container %s: send %v to process %d: %w", f.id, sig, pid, err)
		}
	}
	return nil
}

func isContainerizer(pid int) bool {
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	program, _, _ := strings.Cut(string(cmdline), "\x00")
	return err == nil && filepath.Base(program) == "mesos-containerizer"
}

// Kill kills all of the container.
func (f *Foreign) Kill() error {
	f.killed.Store(true)
	return f.kill()
}

func (f *Foreign) kill() error {
	leaders := map[int]bool{}
	for range killPasses {
		all := f.members(leaders)
		if len(all) == 0 {
			return nil
		}
		for _, sig := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} {
			for _, pid := range all {
				if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
					return fmt.Errorf("container %s: kill process %d: %w", f.id, pid, err)
				}
			}
		}
	}
	return nil
}

// Usage sums what the tree of processes has used.
func (f *Foreign) Usage() Usage {
	sum := f.Process.Usage()
	add(&sum, f.pid)
	return sum
}

// members returns the processes of the container that have not ended, parents
// before their children. leaders collects the sessions that they lead, by which
// orphans are found when their parents have ended.
func (f *Foreign) members(leaders map[int]bool) (all []int) {
	leaders[f.pid] = true // a session's number is nobody's pid while somebody is in it
	seen := map[int]bool{os.Getpid(): true, 1: true}
	take := func(root int) {
		for _, pid := range append([]int{root}, descendants(root)...) {
			session, over := sessionOf(pid)
			if seen[pid] || over {
				continue
			}
			seen[pid] = true
			all = append(all, pid)
			if session == pid {
				leaders[pid] = true
			}
		}
	}
	if IsForeign(f.pid, f.id) {
		take(f.pid)
	}
	entries, _ := os.ReadDir("/proc") // without it there is nobody to be seen
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || seen[pid] {
			continue
		}
		if session, over := sessionOf(pid); !over && (leaders[session] || marked(pid, f.id)) {
			take(pid)
		}
	}
	return all
}

// sessionOf returns the session of a process, and whether it has ended.
func sessionOf(pid int) (session int, over bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, true
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // from the 3rd on
	if len(fields) < 4 || fields[0] == "Z" || fields[0] == "X" {
		return 0, true
	}
	session, err = strconv.Atoi(fields[3])
	return session, err != nil
}
