package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// TestEmbeddedMemberLost loses the disk of one of three masters with an embedded
// etcd. It must not come back as the member it was; replaced, it stands by
// again, and the cluster bears the loss of another.
func TestEmbeddedMemberLost(t *testing.T) {
	t.Parallel()
	masters, _ := backends["embedded"](t)
	leader := cluster.Leader(t, masters...)
	standbys := cluster.Without(masters, leader)
	lost, helper := standbys[0], standbys[1]
	cluster.Eventually(t, cluster.Patience, func() error { return standsBy(lost, leader) })
	lost.Kill9()
	if err := os.RemoveAll(filepath.Join(lost.WorkDir, "etcd")); err != nil {
		t.Fatal(err)
	}
	lost.Process.Start()
	if code := lost.Exit(cluster.Patience).ExitCode(); code != 1 || !strings.Contains(lost.Log(), "--replace_peer") {
		t.Fatalf("without its files it ended with %d:\n%s", code, lost.Log())
	}

	helper.Kill9()
	args := helper.Args
	helper.Args = append(append([]string{}, args...), "--replace_peer="+peerOf(t, lost))
	helper.Process.Start()
	helper.WaitLog("the peer is replaced", cluster.Patience)
	lost.Process.Start()
	leader = cluster.Leader(t, masters...)
	for _, m := range cluster.Without(masters, leader) {
		cluster.Eventually(t, cluster.Patience, func() error { return standsBy(m, leader) })
	}
	agent := cluster.StartAgent(t, leader, "--master="+cluster.Addresses(masters...))
	leader.Kill9()
	next := cluster.Leader(t, cluster.Without(masters, leader)...)
	cluster.Eventually(t, cluster.Patience, func() error {
		if !next.Running() {
			return errors.New("the next leader has ended")
		}
		return cluster.Registered(next, agent)
	})
}

// peerOf returns where a master's etcd talks to the others.
func peerOf(t *testing.T, m *cluster.Node) string {
	t.Helper()
	for _, arg := range m.Args {
		if peer, ok := strings.CutPrefix(arg, "--peer_address="); ok {
			return peer
		}
	}
	t.Fatal("it has no --peer_address")
	return ""
}
