package cluster

import (
	"fmt"
	"slices"
	"strings"
)

// StartStandby starts a master that may lead or not, and returns when it
// answers at all. A flag given replaces the usual one of the same name.
func StartStandby(t TB, flags ...string) *Node {
	t.Helper()
	work := t.TempDir()
	port := FreePort(t)
	n := &Node{Addr: loopback(port), URL: "http://" + loopback(port), WorkDir: work, probe: "/health"}
	usual := []string{"--ip=127.0.0.1", "--hostname=127.0.0.1", fmt.Sprintf("--port=%d", port), "--work_dir=" + work}
	n.Process = Start(t, fmt.Sprintf("master-%d", port), nil, append([]string{Binary(t), "master"}, override(usual, flags)...)...)
	n.Ready(t)
	return n
}

// Leader waits until one of the masters leads and serves, and returns it.
func Leader(t TB, masters ...*Node) *Node {
	t.Helper()
	var leader *Node
	Eventually(t, Patience, func() error {
		for _, m := range masters {
			reply, err := Get(m.URL + "/slaves")
			if err == nil && reply.Status == 200 {
				leader = m
				return nil
			}
		}
		return fmt.Errorf("none of %d masters leads", len(masters))
	})
	return leader
}

// Without returns the nodes but one.
func Without(nodes []*Node, one *Node) []*Node {
	return slices.DeleteFunc(slices.Clone(nodes), func(n *Node) bool { return n == one })
}

// Addresses returns the addresses of nodes, with commas between.
func Addresses(nodes ...*Node) string {
	var all []string
	for _, n := range nodes {
		all = append(all, n.Addr)
	}
	return strings.Join(all, ",")
}
