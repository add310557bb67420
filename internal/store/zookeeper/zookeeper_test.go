package zookeeper

import (
	"context"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/meseta-project/meseta/internal/masterd/storetest"
	"github.com/meseta-project/meseta/internal/registry"
	"github.com/meseta-project/meseta/test/cluster"
)

const testTick = 300 * time.Millisecond

func config(server *cluster.ZooKeeper, path string) Config {
	return Config{Servers: []string{server.Addr}, Path: path, Log: slog.New(slog.DiscardHandler)}
}

func open(t *testing.T, cfg Config) storetest.Store {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	server := cluster.StartZooKeeper(t, testTick)
	storetest.RunShared(t, func(t *testing.T) func() storetest.Store {
		cfg := config(server, "/tests/"+strings.ReplaceAll(t.Name(), "/", "_")+"/registry")
		cfg.User, cfg.Password = "u1", "p1"
		return func() storetest.Store { return open(t, cfg) }
	})
}

// TestWrongCredentials reads and writes where others have the say.
func TestWrongCredentials(t *testing.T) {
	server := cluster.StartZooKeeper(t, testTick)
	cfg := config(server, "/mesos/registry")
	cfg.User, cfg.Password = "u1", "p1"
	owner := open(t, cfg)
	defer owner.Close()
	puts := []registry.Put{{Key: "a", Value: []byte("1")}}
	if _, version, err := owner.Load(t.Context()); err != nil {
		t.Fatal(err)
	} else if _, err := owner.Store(t.Context(), version, puts); err != nil {
		t.Fatal(err)
	}
	cfg.Password = "wrong"
	other := open(t, cfg)
	defer other.Close()
	_, version, err := other.Load(t.Context())
	if err != nil {
		t.Fatal(err) // all may read
	}
	if _, err := other.Store(t.Context(), version, puts); err == nil || !strings.Contains(err.Error(), "password") {
		t.Errorf("got %v, want a refusal with a way out", err)
	}
}

// TestForeign finds something else where the registry should be.
func TestForeign(t *testing.T) {
	server := cluster.StartZooKeeper(t, testTick)
	conn, _, err := zk.Connect([]string{server.Addr}, time.Second, zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for path, content := range map[string]string{"/foreign": "not ours", "/newer": `{"format":2,"version":1}`} {
		for _, p := range []string{path, path + "/head"} {
			if _, err := conn.Create(p, []byte(content), 0, zk.WorldACL(zk.PermAll)); err != nil {
				t.Fatal(err)
			}
		}
		s := open(t, config(server, path))
		if _, _, err := s.Load(t.Context()); err == nil || !strings.Contains(err.Error(), "path") {
			t.Errorf("%s: got %v, want a refusal with a way out", path, err)
		}
		s.Close()
	}
}

// TestFrozenServer gives up when told to, and goes on when the server is back.
func TestFrozenServer(t *testing.T) {
	server := cluster.StartZooKeeper(t, testTick)
	s := open(t, config(server, "/mesos/registry"))
	defer s.Close()
	_, version, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	server.Signal(syscall.SIGSTOP)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = s.Store(ctx, version, []registry.Put{{Key: "a", Value: []byte("1")}})
	server.Signal(syscall.SIGCONT)
	if err == nil {
		t.Error("a frozen server took a write")
	}
	if _, _, err := s.Load(t.Context()); err != nil {
		t.Error(err)
	}
}
