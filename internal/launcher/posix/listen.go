package posix

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Listeners are the TCP sockets of the machine's network that listen: their ports
// by inode.
type Listeners map[uint64]uint16

// LookForListeners finds them.
func LookForListeners() (Listeners, error) {
	all := Listeners{}
	for _, path := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		text, err := os.ReadFile(path)
		if err != nil && !os.IsNotExist(err) { // a machine may be without IPv6
			return nil, fmt.Errorf("look for listening sockets: %w", err)
		}
		all.parse(string(text))
	}
	return all, nil
}

// listening is the state of a socket in the kernel's tables.
const listening = "0A"

// parse adds the sockets of a table of the kernel's.
func (l Listeners) parse(table string) {
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 10 || fields[3] != listening {
			continue
		}
		_, hex, _ := strings.Cut(fields[1], ":")
		port, err := strconv.ParseUint(hex, 16, 16)
		inode, err2 := strconv.ParseUint(fields[9], 10, 64)
		if err == nil && err2 == nil && inode != 0 {
			l[inode] = uint16(port)
		}
	}
}

// Of returns the ports at which a container listens, by the pid of its shim. A port
// may be named more than once.
func (l Listeners) Of(shim int) []uint16 {
	var ports []uint16
	for _, pid := range descendants(shim) {
		dir := fmt.Sprintf("/proc/%d/fd", pid)
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // it has ended
		}
		for _, entry := range entries {
			link, err := os.Readlink(filepath.Join(dir, entry.Name()))
			if err != nil {
				continue
			}
			text, ok := strings.CutPrefix(link, "socket:[")
			inode, err := strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 64)
			if port, listens := l[inode]; ok && err == nil && listens {
				ports = append(ports, port)
			}
		}
	}
	return ports
}
