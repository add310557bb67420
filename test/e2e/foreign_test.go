package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"go.etcd.io/bbolt"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/meseta-project/meseta/internal/etcdserver/etcdtest"
	"github.com/meseta-project/meseta/test/cluster"
)

// What a master finds where its registry should be.
const (
	otherContent = "not a registry"
	newerContent = `{"format":2,"version":1}`
)

// refusedStart starts a master that must not start, and checks that it ends with
// status 1 and says what to do.
func refusedStart(t *testing.T, advice, work string, flags ...string) {
	t.Helper()
	args := append([]string{cluster.Binary(t), "master", "--ip=127.0.0.1", "--port=0", "--work_dir=" + work}, flags...)
	p := cluster.Start(t, "master", nil, args...)
	if code := p.Exit(cluster.Patience).ExitCode(); code != 1 || !strings.Contains(p.Log(), advice) {
		t.Errorf("it ended with %d and did not say %q:\n%s", code, advice, p.Log())
	}
}

// unchanged checks that a store is as it was after f.
func unchanged(t *testing.T, content func() string, f func()) {
	t.Helper()
	before := content()
	f()
	if after := content(); after != before {
		t.Errorf("it was\n%s\nand is\n%s", before, after)
	}
}

// TestForeignBolt: a file that is no registry, and one of a newer Meseta.
func TestForeignBolt(t *testing.T) {
	t.Parallel()
	for name, fill := range map[string]func(path string) error{
		"not a registry": func(path string) error {
			return os.WriteFile(path, []byte(strings.Repeat(otherContent, 1000)), 0o600)
		},
		"newer": func(path string) error {
			db, err := bbolt.Open(path, 0o600, nil)
			if err != nil {
				return err
			}
			defer db.Close()
			return db.Update(func(tx *bbolt.Tx) error {
				state, err := tx.CreateBucket([]byte("state"))
				if err != nil {
					return err
				}
				return state.Put([]byte("format"), []byte("2"))
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			work := t.TempDir()
			path := filepath.Join(work, "registry.db")
			if err := fill(path); err != nil {
				t.Fatal(err)
			}
			unchanged(t, func() string {
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				return string(text)
			}, func() { refusedStart(t, "begin a new cluster with another --work_dir", work) })
		})
	}
}

// TestForeignZooKeeper: znodes of others, and a registry that is none of ours.
func TestForeignZooKeeper(t *testing.T) {
	t.Parallel()
	server := cluster.StartZooKeeper(t, time.Second)
	conn, _, err := zk.Connect([]string{server.Addr}, time.Minute, zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.AddAuth("digest", []byte("u1:p1")); err != nil {
		t.Fatal(err)
	}
	mine := append(zk.WorldACL(zk.PermRead), zk.DigestACL(zk.PermAll, "u1", "p1")...)
	for path, data := range map[string]string{"/theirs": "", "/other/registry/head": otherContent, "/newer/registry/head": newerContent} {
		made := ""
		for part := range strings.SplitSeq(path[1:], "/") {
			made += "/" + part
			if _, err := conn.Create(made, []byte(data), 0, mine); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct{ name, user, path, advice string }{
		{"wrong password", "u1:wrong", "/theirs", "password"},
		{"no password", "", "/theirs", "password"},
		{"not a registry", "u1:p1", "/other", "not a registry of Meseta's: use another path"},
		{"newer", "u1:p1", "/newer", "start a newer one, or begin a new cluster under another path"},
	} {
		t.Run(c.name, func(t *testing.T) {
			unchanged(t, func() string { return znodes(t, conn, c.path) }, func() {
				refusedStart(t, c.advice, t.TempDir(), "--zk=zk://"+strings.TrimPrefix(c.user+"@", "@")+server.Addr+c.path, "--zk_session_timeout=2secs")
			})
		})
	}
}

// znodes says what is at a path and beneath it, but for what goes with a session.
func znodes(t *testing.T, conn *zk.Conn, path string) string {
	t.Helper()
	data, stat, err := conn.Get(path)
	if err != nil {
		t.Fatal(err)
	}
	if stat.EphemeralOwner != 0 {
		return ""
	}
	all := fmt.Sprintf("%s version %d: %q\n", path, stat.Version, data)
	children, _, err := conn.Children(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, child := range children {
		all += znodes(t, conn, path+"/"+child)
	}
	return all
}

// TestForeignEtcd: no right to the prefix, and a registry that is none of ours.
func TestForeignEtcd(t *testing.T) {
	t.Parallel()
	server := etcdtest.Secured(t)
	root := etcdtest.As(t, server.Addr, etcdtest.Root)
	for path, data := range map[string]string{"/meseta/other/registry/head": otherContent, "/meseta/newer/registry/head": newerContent} {
		if _, err := root.Put(t.Context(), path, data); err != nil {
			t.Fatal(err)
		}
	}
	user := etcdtest.User + ":" + etcdtest.Password + "@"
	for _, c := range []struct{ name, user, path, advice string }{
		{"wrong password", etcdtest.User + ":wrong@", "/meseta/x", "etcd://user:password@"},
		{"no password", "", "/meseta/x", "etcd://user:password@"},
		{"may only read", etcdtest.Reader + ":" + etcdtest.Password + "@", "/meseta/x", "etcd://user:password@"},
		{"another's prefix", user, "/elsewhere", "etcd://user:password@"},
		{"not a registry", user, "/meseta/other", "not a registry of Meseta's: use another path"},
		{"newer", user, "/meseta/newer", "start a newer one, or begin a new cluster under another path"},
	} {
		t.Run(c.name, func(t *testing.T) {
			unchanged(t, func() string {
				got, err := root.Get(t.Context(), "/", clientv3.WithPrefix())
				if err != nil {
					t.Fatal(err)
				}
				all := ""
				for _, kv := range got.Kvs {
					if kv.Lease == 0 { // what goes with a session does not count
						all += fmt.Sprintf("%s revision %d: %q\n", kv.Key, kv.ModRevision, kv.Value)
					}
				}
				return all
			}, func() { refusedStart(t, c.advice, t.TempDir(), "--etcd=etcd://"+c.user+server.Addr+c.path) })
		})
	}
}

// TestForeignEmbedded: files of a member that are damaged or gone, which have a way
// out while the others run, and a registry that is none of ours.
func TestForeignEmbedded(t *testing.T) {
	t.Parallel()
	masters, _ := backends["embedded"](t)
	leader := cluster.Leader(t, masters...)
	standby := cluster.Without(masters, leader)[0]
	cluster.Eventually(t, cluster.Patience, func() error { return standsBy(standby, leader) })
	files := filepath.Join(etcdFolder(standby), "member")
	for name, spoil := range map[string]func() error{
		"damaged log":      func() error { return scribble(t, filepath.Join(files, "wal", "*.wal")) },
		"damaged database": func() error { return scribble(t, filepath.Join(files, "snap", "db")) },
		"no log": func() error {
			return errors.Join(os.RemoveAll(filepath.Join(files, "wal")), os.Mkdir(filepath.Join(files, "wal"), 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			standby.Kill9()
			kept := filepath.Join(t.TempDir(), "kept")
			run(t, "cp", "-r", files, kept)
			if err := spoil(); err != nil {
				t.Fatal(err)
			}
			before := len(standby.Log())
			standby.Process.Start()
			code := standby.Exit(cluster.Patience).ExitCode()
			if said := standby.Log()[before:]; code != 1 || !strings.Contains(said, "--replace_peer") || strings.Contains(said, "goroutine") {
				t.Errorf("it ended with %d:\n%s", code, said)
			}
			if err := os.RemoveAll(files); err != nil {
				t.Fatal(err)
			}
			run(t, "cp", "-r", kept, files)
			standby.Start()
			cluster.Eventually(t, cluster.Patience, func() error { return standsBy(standby, leader) })
		})
	}

	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"unix://" + etcdFolder(leader) + "/etcdctl.sock"}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Put(t.Context(), "/meseta/registry/head", otherContent); err != nil {
		t.Fatal(err)
	}
	for _, m := range masters {
		m.Kill9()
	}
	for _, m := range masters {
		m.Start()
	}
	const advice = "not a registry of Meseta's"
	cluster.Eventually(t, cluster.Patience, func() error {
		for _, m := range masters {
			if !m.Running() && m.Exit(cluster.Patience).ExitCode() == 1 && strings.Contains(m.Log(), advice) && strings.Contains(m.Log(), "another --work_dir") {
				return nil
			}
		}
		return fmt.Errorf("no master ended and said %q", advice)
	})
}

// scribble writes over what is near the beginning of files.
func scribble(t *testing.T, pattern string) error {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("%s: %q, %v", pattern, found, err)
	}
	for _, path := range found {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteAt([]byte(strings.Repeat(otherContent, 600)), 64)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// TestEtcdFull: a leader that cannot write ends and says why. Nobody leads until
// there is room; then all is as it was.
func TestEtcdFull(t *testing.T) {
	t.Parallel()
	server := cluster.StartEtcd(t, "--quota-backend-bytes=4194304")
	client := etcdtest.As(t, server.Addr, "")
	master := cluster.StartMaster(t, "--etcd=etcd://"+server.Addr+"/meseta")
	agent := cluster.StartAgent(t, master)
	etcdtest.Fill(t, client)
	late := cluster.NewAgent(t, master.Addr)
	const full = "etcd is full; compact and defragment it"
	if code := master.Exit(cluster.Patience).ExitCode(); code != 1 || !strings.Contains(master.Log(), full) {
		t.Errorf("it ended with %d and did not say %q:\n%s", code, full, master.Log())
	}
	master.Start()
	etcdtest.Clear(t, server.Addr, client)
	master.Ready(t)
	for _, a := range []*cluster.Node{agent, late} {
		cluster.Eventually(t, cluster.Patience, func() error { return cluster.Registered(master, a) })
	}
}
