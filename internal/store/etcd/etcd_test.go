package etcd

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/meseta-project/meseta/internal/elect/etcd"
	"github.com/meseta-project/meseta/internal/etcdserver/etcdtest"
	"github.com/meseta-project/meseta/internal/flags"
	"github.com/meseta-project/meseta/internal/masterd/storetest"
	"github.com/meseta-project/meseta/internal/registry"
	"github.com/meseta-project/meseta/internal/store/journal"
	"github.com/meseta-project/meseta/test/cluster"
)

func open(dial func() (*clientv3.Client, error), path string) *journal.Store {
	return Open(dial, path, slog.New(slog.DiscardHandler))
}

// as dials a server as a user.
func as(addr, user, password string) func() (*clientv3.Client, error) {
	return etcd.Dialer(flags.Servers{Scheme: "etcd", Addresses: []string{addr}, User: user, Password: password, Path: "/x"})
}

func TestConformance(t *testing.T) {
	server := etcdtest.Start(t)
	storetest.RunShared(t, func(t *testing.T) func() storetest.Store {
		return func() storetest.Store { return open(server.Client, "/"+t.Name()+"/registry") }
	})
}

// TestConformanceOutside is on an older etcd, as a user with no right that is not
// needed.
func TestConformanceOutside(t *testing.T) {
	server := etcdtest.Secured(t)
	storetest.RunShared(t, func(t *testing.T) func() storetest.Store {
		return func() storetest.Store {
			return open(as(server.Addr, etcdtest.User, etcdtest.Password), "/meseta/"+t.Name()+"/registry")
		}
	})
}

var puts = []registry.Put{{Key: "a", Value: []byte("1")}}

// TestWrongCredentials reads and writes without the right to it.
func TestWrongCredentials(t *testing.T) {
	server := etcdtest.Secured(t)
	for _, who := range etcdtest.Strangers("/meseta/registry") {
		s := open(as(server.Addr, who.User, who.Password), who.Path)
		if _, _, err := s.Load(t.Context()); err == nil || !strings.Contains(err.Error(), "etcd://user:password@") {
			t.Errorf("%s: got %v, want a refusal with a way out", who.Name, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	s := open(as(server.Addr, etcdtest.Reader, etcdtest.Password), "/meseta/registry")
	defer s.Close()
	_, version, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Store(t.Context(), version, puts); err == nil || !strings.Contains(err.Error(), "etcd://user:password@") {
		t.Errorf("who may only read: got %v, want a refusal with a way out", err)
	}
}

// TestForeign finds something else where the registry should be.
func TestForeign(t *testing.T) {
	server := cluster.StartEtcd(t)
	client := etcdtest.As(t, server.Addr, "")
	for path, content := range map[string]string{"/foreign": "not ours", "/newer": `{"format":2,"version":1}`} {
		if _, err := client.Put(t.Context(), path+"/head", content); err != nil {
			t.Fatal(err)
		}
		s := open(as(server.Addr, "", ""), path)
		if _, _, err := s.Load(t.Context()); err == nil || !strings.Contains(err.Error(), "path") {
			t.Errorf("%s: got %v, want a refusal with a way out", path, err)
		}
		s.Close()
	}
}

// TestFull writes to an etcd that is full, until its operator makes room, in both
// of the ways that there are.
func TestFull(t *testing.T) {
	const quota = "--quota-backend-bytes="
	server := etcdtest.Secured(t, quota+"4194304")
	root := etcdtest.As(t, server.Addr, etcdtest.Root)
	s := open(as(server.Addr, etcdtest.User, etcdtest.Password), "/meseta/registry")
	defer s.Close()
	_, version, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, makeRoom := range []func(){
		func() { etcdtest.Clear(t, server.Addr, root) },
		func() {
			server.Kill9()
			server.Args = append(server.Args, quota+"104857600") // the last one counts
			server.Restart(t)
			etcdtest.Disarm(t, etcdtest.As(t, server.Addr, etcdtest.Root)) // it has forgotten who was there
		},
	} {
		etcdtest.Fill(t, root)
		if _, err := s.Store(t.Context(), version, puts); err == nil || !strings.Contains(err.Error(), "etcd is full") {
			t.Fatalf("got %v, want a refusal with a way out", err)
		}
		makeRoom()
		if version, err = s.Store(t.Context(), version, puts); err != nil {
			t.Fatal(err)
		}
	}
	if _, now, err := s.Load(t.Context()); now != version || err != nil {
		t.Errorf("version %d, %v, want %d", now, err, version)
	}
}

// TestNotThereYet reads from a server that comes later, and gives up on one that
// does not, with a password and without.
func TestNotThereYet(t *testing.T) {
	server := etcdtest.Secured(t)
	server.Kill9()
	s := open(as(server.Addr, etcdtest.User, etcdtest.Password), "/meseta/registry")
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, _, err := s.Load(ctx); err == nil {
		t.Error("a dead server has answered")
	}
	server.Start()
	if _, _, err := s.Load(t.Context()); err != nil {
		t.Error(err)
	}
}
