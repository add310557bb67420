package posix

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// descendants returns the pids below pid, parents before their children.
func descendants(pid int) []int {
	tree := children(pid)
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children(tree[i])...)
	}
	return tree
}

// IsChild reports whether a process is a child of another.
func IsChild(pid, of int) bool { return slices.Contains(children(of), pid) }

func children(pid int) []int {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil
	}
	var pids []int
	for _, task := range tasks {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		if err != nil {
			continue // the thread has ended
		}
		for field := range bytes.FieldsSeq(text) {
			if child, err := strconv.Atoi(string(field)); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}

// clockTick is USER_HZ, which Linux fixes at 100 for user space.
const clockTick = time.Second / 100

// Usage sums the resource usage of the tree, the shim left out.
func (p *Process) Usage() Usage {
	var sum Usage
	for _, pid := range descendants(p.pid) {
		add(&sum, pid)
	}
	return sum
}

func add(u *Usage, pid int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return // has ended
	}
	// The name in parentheses may hold anything; the fields after it count from 3.
	_, rest, found := strings.Cut(string(text[bytes.LastIndexByte(text, ')')+1:]), " ")
	fields := strings.Fields(rest)
	if !found || len(fields) < 22 {
		return
	}
	number := func(field int) uint64 {
		n, _ := strconv.ParseUint(fields[field-3], 10, 64) // a field that is no number counts nothing
		return n
	}
	u.Processes++
	u.Threads += int(number(20))
	u.User += time.Duration(number(14)+number(16)) * clockTick
	u.System += time.Duration(number(15)+number(17)) * clockTick
	u.RSS += number(24) * uint64(os.Getpagesize())
}
