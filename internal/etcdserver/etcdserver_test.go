package etcdserver

import (
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/meseta-project/meseta/test/cluster"
)

func TestParsePeers(t *testing.T) {
	got, err := ParsePeers("10.0.0.1:5060, b:5060,[::1]:7")
	if err != nil || !slices.Equal(got, []string{"10.0.0.1:5060", "b:5060", "[::1]:7"}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, text := range []string{"", "a:1", "a:1,a:1", "a,b", "a:1,b:0", "a:1,:2", "a:1,http://b:2", "a:1,b:x/y"} {
		if got, err := ParsePeers(text); err == nil {
			t.Errorf("%q is %v, want a refusal", text, got)
		}
	}
}

func FuzzParsePeers(f *testing.F) {
	f.Add("10.0.0.1:5060,b:5060")
	f.Fuzz(func(t *testing.T, text string) {
		peers, err := ParsePeers(text)
		if err == nil && len(peers) < 2 {
			t.Errorf("%q is %v", text, peers)
		}
	})
}

// TestMembers starts three, takes one away, and brings it back.
func TestMembers(t *testing.T) {
	var peers []string
	for range 3 {
		peers = append(peers, "127.0.0.1:"+strconv.Itoa(cluster.FreePort(t)))
	}
	dir := t.TempDir()
	start := func(i int) *Server {
		t.Helper()
		s, err := Start(Config{Peers: peers, Self: peers[i], Dir: filepath.Join(dir, strconv.Itoa(i)), Cluster: "test", Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	members := []*Server{start(0), start(1), start(2)}
	for i, m := range members {
		if err := m.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		use(t, m, strconv.Itoa(i))
	}
	members[2].Close()
	use(t, members[0], "with two of three")
	members[2] = start(2)
	if err := members[2].Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	use(t, members[2], "back again")
	for _, m := range members {
		m.Close()
	}
}

// TestReplace loses the files of one of three members. It may not come back as
// the one it was, but another may in its place, and then the loss of a second
// one is borne.
func TestReplace(t *testing.T) {
	var peers []string
	for range 3 {
		peers = append(peers, "127.0.0.1:"+strconv.Itoa(cluster.FreePort(t)))
	}
	dir := t.TempDir()
	start := func(i int, files string) (*Server, error) {
		return Start(Config{Peers: peers, Self: peers[i], Dir: filepath.Join(dir, files), Cluster: "test", Log: slog.New(slog.DiscardHandler)})
	}
	members := make([]*Server, 3)
	begin := func(i int, files string) {
		t.Helper()
		var err error
		if members[i], err = start(i, files); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		begin(i, strconv.Itoa(i))
	}
	for i, m := range members {
		if err := m.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		use(t, m, strconv.Itoa(i))
	}
	if err := members[0].Replace(t.Context(), peers[2]); err == nil {
		t.Error("a member was replaced that is there")
	}
	members[2].Close()
	use(t, members[0], "with two of three")
	cluster.Eventually(t, cluster.Patience, func() error { // each has to hear of the other that it has run
		if s, err := start(2, "empty"); err == nil {
			s.Close()
			t.Fatal("a member without its files came back as the one it was")
		} else if !errors.Is(err, errForgotten) {
			return err
		}
		return nil
	})
	for range 2 { // the second time does nothing
		if err := members[0].Replace(t.Context(), peers[2]); err != nil {
			t.Fatal(err)
		}
	}
	begin(2, "replaced")
	if err := members[2].Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	use(t, members[2], "replaced")
	members[1].Close()
	use(t, members[2], "the second is lost")
	members[0].Close()
	members[2].Close()
}

// use writes by one member and reads what it wrote.
func use(t *testing.T, m *Server, value string) {
	t.Helper()
	client, err := m.Client()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Put(t.Context(), "key", value); err != nil {
		t.Fatal(err)
	}
	got, err := client.Get(t.Context(), "key", clientv3.WithPrefix())
	if err != nil || len(got.Kvs) != 1 || string(got.Kvs[0].Value) != value {
		t.Fatalf("got %v, %v, want %q", got, err, value)
	}
}

// TestStranger refuses a member that is not of the cluster.
func TestStranger(t *testing.T) {
	_, err := Start(Config{Peers: []string{"127.0.0.1:1", "127.0.0.1:2"}, Self: "127.0.0.1:3", Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		t.Error("a member started that is not one of the peers")
	}
}
