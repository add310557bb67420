package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// TestBackup has etcd's own tools back up what three masters with embedded etcds keep,
// and bring it back after all their disks are lost, as
// docs/operator/high-availability.md says.
func TestBackup(t *testing.T) {
	t.Parallel()
	ctl, utl := etcdTool(t, "etcdctl"), etcdTool(t, "etcdutl")
	masters, _ := backends["embedded"](t)
	leader := cluster.Leader(t, masters...)
	quota := `{"role": "served", "guarantee": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 3}}], "force": true}`
	request(t, leader, "POST", "/quota", quota, 200, "")
	request(t, leader, "PUT", "/weights", `[{"role":"greedy","weight":2.5}]`, 200, "")
	before := quotas(t, leader)
	backup := filepath.Join(t.TempDir(), "backup.db")
	run(t, ctl, "--endpoints=unix://"+etcdFolder(leader)+"/etcdctl.sock", "snapshot", "save", backup)

	request(t, leader, "DELETE", "/quota/served", "", 200, "")
	var members []string
	for _, m := range masters {
		m.Kill9()
		if err := os.RemoveAll(etcdFolder(m)); err != nil {
			t.Fatal(err)
		}
		members = append(members, peerOf(t, m)+"=http://"+peerOf(t, m))
	}
	for _, m := range masters {
		run(t, utl, "snapshot", "restore", backup, "--data-dir="+etcdFolder(m), "--name="+peerOf(t, m),
			"--initial-cluster="+strings.Join(members, ","), "--initial-advertise-peer-urls=http://"+peerOf(t, m))
		m.Process.Start()
	}
	leader = cluster.Leader(t, masters...)
	if after := quotas(t, leader); after != before {
		t.Errorf("before the loss\n%s\nafter it\n%s", before, after)
	}
	cluster.Eventually(t, cluster.Patience, func() error { return standsBy(cluster.Without(masters, leader)[0], leader) })
}

func etcdFolder(m *cluster.Node) string { return filepath.Join(m.WorkDir, "etcd") }

// etcdTool returns one of etcd's tools, built at the version that tools/etcd.mod pins.
func etcdTool(t *testing.T, name string) string {
	t.Helper()
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	build := exec.Command("go", "build", "-modfile=tools/etcd.mod", "-o", path, "go.etcd.io/etcd/"+name+"/v3")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", filepath.Base(program), strings.Join(args, " "), err, out)
	}
}
